"""Never shipped: a WeChat Pay simulator and an embedded AWS, for `make demo`, `make sandbox` and the tests."""
