"""OpenTill: a self-hosted QR-code payment gateway."""

__version__ = "0.1.0"
