"""The functions and classes of `xlir_bench` itself, which imports each of them when it is used."""
