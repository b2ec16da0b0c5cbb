"""How bytes move: the only room that imports aiokafka. It decides nothing about workflows."""
