package blockio

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// SealedMemory makes memory for blocks that others may map to read it, and nobody else to
// write it, and whose length nobody changes. This process has it mapped until FreeMemory.
func SealedMemory(size int) (*os.File, []byte, error) {
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
		FreeMemory(file, memory)
		return nil, nil, fmt.Errorf("seal memory for blocks: %w", err)
	}
	return file, memory, nil
}

// FreeMemory gives memory back. Who was sent it has it mapped themselves.
func FreeMemory(file *os.File, memory []byte) {
	freeMemory(memory)
	file.Close()
}

// SendMemory hands memory to the process behind a connection, for [OpenRing].
func SendMemory(conn *net.UnixConn, file *os.File) error {
	_, _, err := conn.WriteMsgUnix([]byte{0}, unix.UnixRights(int(file.Fd())), nil)
	return err
}
