//go:build !linux

package blockio

import (
	"errors"
	"net"
	"os"
)

// SealedMemory makes no memory: this system has none that others can only read.
func SealedMemory(int) (*os.File, []byte, error) { return nil, nil, errors.ErrUnsupported }

// FreeMemory has nothing to give back.
func FreeMemory(*os.File, []byte) {}

// SendMemory hands nothing over.
func SendMemory(*net.UnixConn, *os.File) error { return errors.ErrUnsupported }
