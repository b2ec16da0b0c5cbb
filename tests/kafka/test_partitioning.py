"""Partitions of keys, held against Kafka's own answers."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionbus.kafka import partitioning
from support import kafka_jars

# Utils.murmur2 of Kafka's own test (clients/src/test/java/org/apache/kafka/common/utils/UtilsTest.java), signed.
KNOWN = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("key", "expected"), KNOWN.items())
def test_known_answers(key: bytes, expected: int):
    """The hash is the one that Kafka's own tests expect."""
    assert partitioning.murmur2(key) == expected & 0xFFFFFFFF


@given(st.binary(max_size=300), st.integers(1, 1000))
def test_agrees_with_the_library(key: bytes, partitions: int):
    """Every key goes where the client library sends it."""
    from aiokafka.partitioner import DefaultPartitioner

    everywhere = list(range(partitions))
    assert partitioning.partition_for(key, partitions) == DefaultPartitioner()(key, everywhere, everywhere)


@pytest.mark.java
def test_agrees_with_java(tmp_path):
    """Every key goes where a Java producer sends it."""
    try:
        jars = kafka_jars.jars()
    except kafka_jars.JavaMissing as error:
        pytest.skip(str(error))
    keys = [f"run-{number}:é.x" + "y" * (number % 7) for number in range(200)]
    source = tmp_path / "Partitions.java"
    source.write_text(
        "import org.apache.kafka.common.utils.Utils;\n"
        "public class Partitions { public static void main(String[] keys) throws Exception { for (String key : keys)\n"
        '  System.out.println(Utils.toPositive(Utils.murmur2(key.getBytes("UTF-8"))) % 12); } }\n'
    )
    command = [kafka_jars.java(), "-Dfile.encoding=UTF-8", "-Dsun.jnu.encoding=UTF-8", "-cp", f"{jars}/*", str(source)]
    said = subprocess.run([*command, *keys], check=True, capture_output=True, text=True, env={"LC_ALL": "C.UTF-8"})
    assert [int(line) for line in said.stdout.split()] == [partitioning.partition_for(k.encode(), 12) for k in keys]
