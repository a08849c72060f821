"""Interoperability: other WeChat Pay clients call the simulator, and verify requests that our library signed."""
