package core

import (
	"os"

	"golang.org/x/sys/unix"
)

// giveMemory has the system give a part of the memory now, or say that it cannot. What it
// gives is mapped at once: else each page would stop who receives into it.
func giveMemory(file *os.File, memory []byte, from, size int) error {
	if err := unix.Fallocate(int(file.Fd()), 0, int64(from), int64(size)); err != nil {
		return err
	}
	_ = unix.Madvise(memory[from:from+size], unix.MADV_POPULATE_WRITE) // before Linux 5.14 they are mapped as they are touched
	return nil
}
