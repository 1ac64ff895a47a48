//go:build !linux

package core

import (
	"errors"
	"net"
	"os"
)

func sealedMemory(int) (*os.File, []byte, error)  { return nil, nil, errors.ErrUnsupported }
func giveMemory(*os.File, []byte, int, int) error { return errors.ErrUnsupported }
func freeMemory(*os.File, []byte)                 {}
func sendFile(*net.UnixConn, *os.File) error      { return errors.ErrUnsupported }
