"""Seeded stories of everything that goes wrong, in virtual time; at the end the truth must have been kept and told.

A story (`run.py`) is one seed: a world that mines and reorganises (`world.py`, `branches.py`), endpoints that show it
in JSON-RPC (`rpc/`), a store that survives (`store/`), clients that listen, reconnect and poll (`crowd.py`), somebody
who gives orders (`operating.py`) and edits the file (`editing.py`), and one life of the service after the other
(`service.py`), each ended by a kill or asked to stop (`lives.py`). When the faults are over and all is at rest, the
oracle (`oracle.py`, `settled.py`, `witness.py`, `needless.py`) compares every row and every event with the canonical
chain.

Real are the chain client down to its bytes, the actors, the hub and the HTTP site, put together as the product does
it. Simulated are time (`clock.py`: the loop jumps to whatever is due next), the network (`rpc/endpoint.py`,
`rpc/line.py`, `wires.py`), the nodes (`rpc/machine.py`) and the database's disk.

To add a fault: a rate in `faults.py`, its name in `LATER`, and where it strikes a draw from a generator of its own,
none while the rate is 0: so kept seeds tell the same stories without it. Draw from nothing else, and iterate over no
set: the same seed must tell the same story. A lie that no client can find out proves nothing (`rpc/endpoint.py` names
them).

To repeat a story: the line that a failing run prints, `make sim SEED=917 RUNS=1`; with `TELL=1` every log line, commit
and reorg comes with its virtual time. `DAY=1` tells a calm day, with `FAULTS=1` one in which something goes wrong now
and then. Once mended, keep the seed in `test_sim.py`.

`node.py` plays a whole node instead: it is for tests of single actors, which say what it answers at each step.
"""
