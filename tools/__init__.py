"""Programs of the developers; none of them ships, and the Makefile starts each.

package          makes a build small and compiles it (`make build`); writes functions/orders/models (`make models`)
vulnerabilities  looks up known vulnerabilities of everything that is pinned (`make audit-dependencies`)
interop          other WeChat Pay clients, unchanged, against the simulator (`make interop`)
mutation         mutation testing with cosmic-ray (`make mutation`)
python_versions  the library's wheel and its tests on each supported Python (`make python-versions`)
step             a shell script: one line for each step of a first `make`, with the remedy where it fails
"""
