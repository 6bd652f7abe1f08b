Seeds = MemorySeeds = PostgresSeeds = object
