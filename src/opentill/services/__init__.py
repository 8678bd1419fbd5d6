"""What the gateway does: steps made of domain rules, SQL units and calls to the wallets."""
