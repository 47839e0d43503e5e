// Preloaded into the program: makes it believe that it is limited to 1 GiB.
process.constrainedMemory = () => 2 ** 30;
