//go:build !linux

package doctor

import (
	"errors"
	"net"
)

// tsrun runs on Linux; elsewhere this package is compiled and not used.

func synchronised() Finding              { return Finding{About: "clock", What: "kernel", State: Notable} }
func stamps(name string) Finding         { return Finding{About: "clock", What: name, State: Notable} }
func writeSpeed(string) (float64, error) { return 0, errors.ErrUnsupported }
func interfaceOf(net.IP) *net.Interface  { return nil }
