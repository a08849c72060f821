"""Mutation testing: are the tests able to fail?"""
