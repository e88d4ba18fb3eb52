"""TensorFlow as it is installed in the running Python: its headers, its flags and its library, with no download."""

_QUERY = """
import json
import tensorflow as tf
print(json.dumps(dict(
    version = tf.__version__,
    include = tf.sysconfig.get_include(),
    library_directory = tf.sysconfig.get_lib(),
    compile_flags = tf.sysconfig.get_compile_flags(),
    link_flags = tf.sysconfig.get_link_flags(),
)))
"""

_BUILD = """
load("@rules_cc//cc:defs.bzl", "cc_library")

package(default_visibility = ["//visibility:public"])

# As system headers (-isystem), so that the compiler does not print their many warnings. include/external holds half of
# all files, what TensorFlow itself was built from, and no other header includes it.
cc_library(
    name = "headers",
    hdrs = glob(["include/**"], exclude = ["include/external/**"]),
    defines = {defines},
    includes = {includes},
)

cc_library(
    name = "framework",
    srcs = ["{library}"],
    deps = [":headers"],
)
"""

def _tensorflow_impl(ctx):
    python = ctx.os.environ.get("PYTHON_BIN_PATH") or ctx.which("python3")
    if not python:
        fail("no Python found: set PYTHON_BIN_PATH to the Python that has TensorFlow")
    answer = ctx.execute([python, "-c", _QUERY], environment = {"TF_CPP_MIN_LOG_LEVEL": "3"})
    if answer.return_code:
        fail("%s has no working TensorFlow; run 'make setup', or set PYTHON_BIN_PATH:\n%s" % (python, answer.stderr))
    tensorflow = json.decode(answer.stdout.strip().split("\n")[-1])

    include = tensorflow["include"]
    includes, defines, copts = [], [], []
    for flag in tensorflow["compile_flags"]:
        if flag.startswith("-I"):
            includes.append("include" + flag[len("-I" + include):])
        elif flag.startswith("-D"):
            defines.append(flag[len("-D"):])
        else:
            copts.append(flag)
    libraries = [flag[len("-l:"):] for flag in tensorflow["link_flags"] if flag.startswith("-l:")]
    if len(libraries) != 1:
        fail("expected one library of the form -l:NAME in %s" % tensorflow["link_flags"])

    ctx.symlink(include, "include")
    ctx.symlink(tensorflow["library_directory"] + "/" + libraries[0], libraries[0])
    ctx.file("BUILD", _BUILD.format(defines = defines, includes = includes, library = libraries[0]), executable = False)
    ctx.file("flags.bzl", "TENSORFLOW_COPTS = %s\n" % copts, executable = False)

tensorflow_repository = repository_rule(
    implementation = _tensorflow_impl,
    doc = "Targets :headers and :framework, and flags.bzl with TENSORFLOW_COPTS. See tools/bazel for the variables.",
    environ = ["PYTHON_BIN_PATH", "PG_TF_TENSORFLOW"],
    local = True,
)
