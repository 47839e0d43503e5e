// Preloaded into the program: makes it believe that it is limited to 1 GiB, or to so many MiB.
const mebibytes = Number(process.env.DDSC_TEST_MEMORY ?? 1024);
process.constrainedMemory = () => mebibytes * 2 ** 20;
