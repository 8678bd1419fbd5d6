"""HTTP in: the merchants' API, the wallets' callbacks, and pages."""
