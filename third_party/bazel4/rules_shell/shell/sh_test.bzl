"""sh_test as it is built into Bazel. See third_party/bazel4/README.md."""

sh_test = native.sh_test
