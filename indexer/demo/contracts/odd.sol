// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// balanceOf answers `size` bytes of ones, or fails: 2^256-1 is 32 bytes of ones.
contract OddToken {
    uint256 public immutable size;
    uint256 public immutable failure;

    /// failure: 0 answers, 1 reverts, 2 burns all its gas on an invalid instruction, 3 runs for ever.
    constructor(uint256 size_, uint256 failure_) {
        size = size_;
        failure = failure_;
    }

    function balanceOf(address) external view returns (uint256) {
        uint256 bytes_ = size;
        uint256 how = failure;
        if (how == 1) revert("no balances here");
        assembly {
            if eq(how, 2) { invalid() }
            for {} eq(how, 3) {} {}
            for { let i := 0 } lt(i, bytes_) { i := add(i, 32) } { mstore(i, not(0)) }
            return(0, bytes_)
        }
    }
}

/// Sends the native coin from inside a contract, which no log and no transaction value shows.
contract Payer {
    receive() external payable {}

    function pay(address payable to, uint256 amount) external payable {
        (bool sent, ) = to.call{value: amount}("");
        require(sent, "not paid");
    }

    function payMany(address payable[] calldata to, uint256 amount) external payable {
        for (uint256 i = 0; i < to.length; i++) {
            (bool sent, ) = to[i].call{value: amount}("");
            require(sent, "not paid");
        }
    }
}

/// Balances at a made-up price: each balanceOf burns about `burn` gas.
contract HungryToken {
    uint256 public burn;
    mapping(address => uint256) private held;

    function set(address to, uint256 amount, uint256 burn_) external {
        held[to] = amount;
        burn = burn_;
    }

    function balanceOf(address wallet) external view returns (uint256) {
        uint256 goal = gasleft() - burn;
        while (gasleft() > goal) {}
        return held[wallet];
    }
}
