package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tsrun/sdk"
	"tsrun/sdk/instrument"
	"tsrun/sdk/quantity"
)

// system is where the devices of a PC are listed.
type system struct{ dev, sys string }

var thisPC = system{"/dev", "/sys"}

// found is a serial port that is there.
type found struct {
	path string
	what string // why it is meant
}

// find returns the device file that a configuration's port names.
func (s system) find(ctx context.Context, port, device string, timeout quantity.Time) (string, error) {
	kind, text, _ := strings.Cut(port, ":")
	var ports []found
	switch {
	case strings.HasPrefix(port, "/"):
		return port, nil
	case kind == "id":
		ports = s.byID(text)
	case kind == "usb":
		ports = s.byUSB(text)
	case kind == "idn":
		ports = s.byIdentity(ctx, text, device, timeout)
	}
	switch len(ports) {
	case 1:
		return ports[0].path, nil
	case 0:
		return "", &sdk.Failure{Code: "device-unreachable", Field: "port",
			Message: fmt.Sprintf("find the %s: no serial port is %s; there are %s", device, port, s.listed()),
			Hint:    "check that it is plugged in and switched on, or give its device file"}
	}
	var names []string
	for _, p := range ports {
		names = append(names, fmt.Sprintf("%s (%s)", p.path, p.what))
	}
	return "", &sdk.Failure{Code: "device-ambiguous", Field: "port", Message: fmt.Sprintf("find the %s: several serial ports are %s: %s", device, port, strings.Join(names, ", ")),
		Hint: "say more, or give the device file of the one that is meant"}
}

// byID finds ports by their names in /dev/serial/by-id, which hold maker, model
// and serial number.
func (s system) byID(text string) (ports []found) {
	links, _ := filepath.Glob(filepath.Join(s.dev, "serial/by-id/*"))
	for _, link := range links {
		if name := filepath.Base(link); strings.Contains(strings.ToLower(name), strings.ToLower(text)) {
			ports = append(ports, found{link, name})
		}
	}
	return ports
}

// byUSB finds ports by vendor, product and perhaps serial number of their USB
// device.
func (s system) byUSB(id string) (ports []found) {
	want := strings.SplitN(id, ":", 3)
	for _, path := range s.ports() {
		dir, err := filepath.EvalSymlinks(filepath.Join(s.sys, "class/tty", filepath.Base(path), "device"))
		for ; err == nil && len(dir) > len(s.sys) && !exists(filepath.Join(dir, "idVendor")); dir = filepath.Dir(dir) {
		}
		if err != nil || len(dir) <= len(s.sys) {
			continue
		}
		got := []string{attribute(dir, "idVendor"), attribute(dir, "idProduct"), attribute(dir, "serial")}
		if slices.EqualFunc(want, got[:len(want)], strings.EqualFold) {
			ports = append(ports, found{path, "usb:" + strings.Join(got, ":")})
		}
	}
	return ports
}

// byIdentity asks the ports that nobody uses what is there.
func (s system) byIdentity(ctx context.Context, text, device string, timeout quantity.Time) (ports []found) {
	for _, path := range s.ports() {
		p, err := openPort(device, path, timeout.Duration())
		if err != nil {
			continue
		}
		identity, err := p.identify(ctx)
		p.close()
		if err == nil && strings.Contains(strings.ToLower(identity), strings.ToLower(text)) {
			ports = append(ports, found{path, instrument.Clip(identity, 64)})
		}
	}
	return ports
}

// ports lists the serial ports on USB.
func (s system) ports() (paths []string) {
	for _, pattern := range []string{"ttyACM*", "ttyUSB*"} {
		some, _ := filepath.Glob(filepath.Join(s.dev, pattern))
		paths = append(paths, some...)
	}
	return paths
}

func (s system) listed() string {
	if paths := s.ports(); len(paths) > 0 {
		return strings.Join(paths, ", ")
	}
	return "none on USB"
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func attribute(dir, name string) string {
	text, _ := os.ReadFile(filepath.Join(dir, name))
	return strings.TrimSpace(string(text))
}
