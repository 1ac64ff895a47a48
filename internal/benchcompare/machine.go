package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// machine says on what something was measured.
func machine() string {
	info, _ := os.ReadFile("/proc/cpuinfo") // elsewhere it is not there
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	kernel := strings.TrimSpace(string(release))
	if kernel == "" {
		kernel = "version unknown"
	}
	return fmt.Sprintf("processor: %s; %d cores; kernel: %s %s; %s", processor(string(info)), runtime.NumCPU(), runtime.GOOS, kernel, runtime.Version())
}

// processor reads the name of the first processor, and whether it computes SHA-256 by
// itself, which bounds what is hashed.
func processor(info string) string {
	name, hashes := "unknown "+runtime.GOARCH, false
	for line := range strings.Lines(info) {
		key, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "model name":
			name = strings.TrimSpace(value)
		case "flags", "Features":
			for _, f := range strings.Fields(value) {
				hashes = hashes || f == "sha_ni" || f == "sha2"
			}
		case "":
			if hashes {
				return name + ", with instructions for SHA-256"
			}
			return name + ", without instructions for SHA-256"
		}
	}
	return name
}
