// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// A plain ERC-20 that anybody may mint, with batches that emit many Transfer logs in one transaction.
contract PlainToken {
    event Transfer(address indexed from, address indexed to, uint256 value);

    string public name;
    string public symbol;
    uint8 public immutable decimals;
    uint256 public totalSupply;
    mapping(address => uint256) internal held;

    constructor(string memory name_, string memory symbol_, uint8 decimals_) {
        name = name_;
        symbol = symbol_;
        decimals = decimals_;
    }

    function balanceOf(address wallet) external view virtual returns (uint256) {
        return held[wallet];
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function mintMany(address[] calldata to, uint256 amount) external {
        for (uint256 i = 0; i < to.length; i++) _mint(to[i], amount);
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        _move(msg.sender, to, amount);
        return true;
    }

    function transferMany(address[] calldata to, uint256 amount) external {
        for (uint256 i = 0; i < to.length; i++) _move(msg.sender, to[i], amount);
    }

    /// Moves between any two wallets without asking: the demo's traffic comes from wallets without keys.
    function move(address from, address to, uint256 amount) external {
        _move(from, to, amount);
    }

    function _mint(address to, uint256 amount) internal virtual {
        totalSupply += amount;
        held[to] += amount;
        emit Transfer(address(0), to, amount);
    }

    function _move(address from, address to, uint256 amount) internal virtual {
        held[from] -= amount;
        held[to] += amount;
        emit Transfer(from, to, amount);
    }
}

/// Metadata as bytes32, as MakerDAO's first token has it.
contract Bytes32Token {
    event Transfer(address indexed from, address indexed to, uint256 value);

    bytes32 public constant name = "Maker";
    bytes32 public constant symbol = "MKR";
    uint256 public constant decimals = 18;
    mapping(address => uint256) public balanceOf;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
        emit Transfer(address(0), to, amount);
    }
}

/// Neither name, nor symbol, nor decimals.
contract BareToken {
    event Transfer(address indexed from, address indexed to, uint256 value);

    mapping(address => uint256) public balanceOf;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
        emit Transfer(address(0), to, amount);
    }
}

/// Says of itself whatever it was told to, raw.
contract BoastfulToken {
    mapping(address => uint256) public balanceOf;
    mapping(bytes4 => bytes) private answers;

    function say(bytes4 selector, bytes calldata answer) external {
        answers[selector] = answer;
    }

    fallback(bytes calldata) external returns (bytes memory) {
        return answers[msg.sig];
    }
}

/// Takes one part in a hundred of every transfer; the log tells the full amount, as some such tokens do.
contract FeeToken is PlainToken("Fee", "FEE", 18) {
    function _move(address from, address to, uint256 amount) internal override {
        held[from] -= amount;
        held[to] += amount - amount / 100;
        emit Transfer(from, to, amount);
    }
}

/// All balances change at once, without any Transfer.
contract RebasingToken is PlainToken("Rebasing", "REB", 18) {
    uint256 public factor = 1e18;

    function rebase(uint256 factor_) external {
        factor = factor_;
    }

    function balanceOf(address wallet) external view override returns (uint256) {
        return (held[wallet] * factor) / 1e18;
    }
}

/// Mints without a Transfer.
contract SilentToken is PlainToken("Silent", "SIL", 18) {
    function mintSilently(address to, uint256 amount) external {
        held[to] += amount;
    }
}
