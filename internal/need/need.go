// Package need lets a test say what it needs of the machine. A test whose need
// is not met is skipped with a line that says what to install; with
// TSRUN_TEST_REQUIRE=all a skip is a failure, so that nothing is skipped where
// everything should be there.
package need

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("TSRUN_TEST_REQUIRE") == "all" {
		t.Fatalf("required: %s", why)
	}
	t.Skip(why)
}

// Tool needs a program of a Debian package and returns its path.
func Tool(t testing.TB, program, debian string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		missing(t, program+" not found; install it with: apt-get install "+debian)
	}
	return path
}

// Python needs Debian's Python with a module of a Debian package and returns
// the interpreter's path.
func Python(t testing.TB, module, debian string) string {
	t.Helper()
	const python = "/usr/bin/python3" // Debian's modules are for Debian's Python
	if err := exec.Command(python, "-c", "import "+module).Run(); err != nil {
		missing(t, "python module "+module+" not found; install it with: apt-get install "+debian)
	}
	return python
}

// Root needs the privileges of root, for namespaces and mounts.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "needs root for network namespaces and mounts; run as root")
	}
}

// Mounts says that a test found no right to mount.
func Mounts(t testing.TB) {
	t.Helper()
	missing(t, "needs to mount, which this root may not; run outside the container")
}

// Kernel says that a test found this kernel, or the container it is in, without what it tests.
func Kernel(t testing.TB, why string) {
	t.Helper()
	missing(t, why)
}

// Data needs a recording from the folder that TSRUN_TEST_DATA names and
// returns its path.
func Data(t testing.TB, file string) string {
	t.Helper()
	dir := os.Getenv("TSRUN_TEST_DATA")
	if dir == "" {
		missing(t, "TSRUN_TEST_DATA names no folder of recordings")
	}
	path := filepath.Join(dir, file)
	if _, err := os.Stat(path); err != nil {
		missing(t, "recording not found: "+path)
	}
	return path
}

// Long skips a test that takes long unless TSRUN_TEST_LONG is 1 or "part", as
// `make test-long` sets it. Such a test's name begins with TestLong.
func Long(t testing.TB) {
	t.Helper()
	if long := os.Getenv("TSRUN_TEST_LONG"); long != "1" && long != "part" {
		t.Skip("takes long; run it with: make test-long")
	}
}

// LongWhole is Long for a test of which a part would show nothing, and which takes
// minutes of a processor: it is skipped where a part is asked for.
func LongWhole(t testing.TB) {
	t.Helper()
	Long(t)
	if os.Getenv("TSRUN_TEST_LONG") == "part" {
		t.Skip("no part of it shows anything; run it with: make test-long")
	}
}

// LongTrials is Long for a test of so many trials that a part of them says
// nearly as much: it returns how many to run, all or those of the part.
func LongTrials(t testing.TB, all, part int) int {
	t.Helper()
	Long(t)
	if os.Getenv("TSRUN_TEST_LONG") == "part" {
		return part
	}
	return all
}

// Address needs an address of this PC that is not that of its loopback, and returns it.
func Address(t testing.TB) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() && n.IP.To4() != nil {
			return n.IP.String()
		}
	}
	missing(t, "no address but that of the loopback: give this PC a network")
	return ""
}
