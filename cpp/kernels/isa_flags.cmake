# The instruction sets kernels.cpp is compiled for, and the flags that make each of them: the one table that CMake and
# the tests read. One line per instruction set; nothing outside cpp/kernels is ever compiled with these flags.
set(ISA_FLAGS_baseline "")
set(ISA_FLAGS_avx2 -mavx2 -mfma)
set(ISA_FLAGS_avx512 -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma -mprefer-vector-width=512)
set(ISA_FLAGS_neon "")

# Per architecture, least capable first: the first one runs on every machine of that architecture.
set(ISAS_x86_64 baseline avx2 avx512)
set(ISAS_aarch64 neon)
set(ISAS_other baseline)

# What every kernel object is compiled with, whatever its instruction set.
#   -ffp-contract=off     a fused multiply-add appears where the source asks for one, never where the compiler likes
#   -fno-math-errno, -fno-trapping-math   let selects vectorise; neither changes a value
#   -fno-lto              link-time optimisation could inline code of one instruction set into callers of another
#   -Wno-psabi            vectors cross no call boundary (helpers are always inlined), so their ABI does not matter
set(KERNEL_FLAGS -ffp-contract=off -fno-math-errno -fno-trapping-math -fno-exceptions -fno-rtti -fno-lto -Wno-psabi)
