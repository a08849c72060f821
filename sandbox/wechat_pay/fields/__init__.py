"""The fields that WeChat Pay's pages document for each request, a module for each family."""
