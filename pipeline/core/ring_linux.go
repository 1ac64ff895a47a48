package core

import (
	"net"
	"os"

	"golang.org/x/sys/unix"

	"tsrun/sdk/blockio"
)

// sealedMemory makes memory that others may map to read it, and nobody else to write it,
// and whose length nobody changes.
func sealedMemory(size int) (*os.File, []byte, error) {
	file, memory, err := blockio.SealedMemory(size)
	if err != nil {
		return nil, nil, err
	}
	return file, memory, nil
}

// giveMemory has the system give a part of the memory now, or say that it cannot. What it
// gives is mapped at once: else each page would stop who receives into it.
func giveMemory(file *os.File, memory []byte, from, size int) error {
	if err := unix.Fallocate(int(file.Fd()), 0, int64(from), int64(size)); err != nil {
		return err
	}
	_ = unix.Madvise(memory[from:from+size], unix.MADV_POPULATE_WRITE) // before Linux 5.14 they are mapped as they are touched
	return nil
}

func freeMemory(file *os.File, memory []byte) { blockio.FreeMemory(file, memory) }

// sendFile hands a file to the process behind a connection.
func sendFile(conn *net.UnixConn, file *os.File) error { return blockio.SendMemory(conn, file) }
