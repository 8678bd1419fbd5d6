"""The wallets. One file each; what a wallet's answer means is decided here and nowhere else."""
