"""Simulated endpoints that speak JSON-RPC in bytes: the real client asks them, and cannot tell.

`fleet` draws the endpoints of a story, `machine` is one node's view of the world's fork tree, `methods` answers what
the client asks, `endpoint` is a URL with everything that goes wrong on the way to it, `line` the same for a websocket,
and `dialects` has the words of real nodes and providers.
"""
