"""The record file: schema, reader, writer, shards and state files."""
