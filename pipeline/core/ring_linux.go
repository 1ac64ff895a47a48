package core

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// sealedMemory makes memory that others may map to read it, and nobody else to write it,
// and whose length nobody changes.
func sealedMemory(size int) (*os.File, []byte, error) {
	fd, err := unix.MemfdCreate("tsrun-blocks", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, nil, fmt.Errorf("make memory for blocks: %w", err)
	}
	file := os.NewFile(uintptr(fd), "tsrun-blocks")
	if err := file.Truncate(int64(size)); err != nil {
		file.Close()
		return nil, nil, fmt.Errorf("make memory for blocks: %w", err)
	}
	memory, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		file.Close()
		return nil, nil, fmt.Errorf("map memory for blocks: %w", err)
	}
	const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_FUTURE_WRITE | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		freeMemory(file, memory)
		return nil, nil, fmt.Errorf("seal memory for blocks: %w", err)
	}
	return file, memory, nil
}

// giveMemory has the system give a part of the memory now, or say that it cannot.
func giveMemory(file *os.File, from, size int) error {
	return unix.Fallocate(int(file.Fd()), 0, int64(from), int64(size))
}

func freeMemory(file *os.File, memory []byte) {
	_ = unix.Munmap(memory)
	file.Close()
}

// sendFile hands a file to the process behind a connection.
func sendFile(conn *net.UnixConn, file *os.File) error {
	_, _, err := conn.WriteMsgUnix([]byte{0}, unix.UnixRights(int(file.Fd())), nil)
	return err
}
