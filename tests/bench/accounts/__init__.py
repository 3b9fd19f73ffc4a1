"""Exchange accounts, followed by the whole service: how many, how soon, how many frames a second."""
