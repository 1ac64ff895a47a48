package blockio

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// receiveMemory maps the memory whose descriptor comes over a connection. Its length must
// be one that nobody can change: what is behind the end of a file ends who reads it.
func receiveMemory(conn *net.UnixConn) ([]byte, error) {
	var word [1]byte
	rights := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := conn.ReadMsgUnix(word[:], rights)
	if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil || len(messages) != 1 {
		return nil, errors.Join(errors.New("it came without a descriptor"), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.Join(errors.New("it came without one descriptor"), err)
	}
	file := os.NewFile(uintptr(fds[0]), "ring")
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if size := info.Size(); size <= 0 || size > mostMemory {
		return nil, fmt.Errorf("it has %d bytes, at most %d are mapped", size, mostMemory)
	}
	const fixed = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
	if seals, err := unix.FcntlInt(file.Fd(), unix.F_GET_SEALS, 0); err != nil || seals&fixed != fixed {
		return nil, errors.Join(errors.New("its length is not sealed"), err)
	}
	return unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
}

func freeMemory(memory []byte) { _ = unix.Munmap(memory) }
