package doctor

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tsrun/internal/twopcs"
)

// TestPastTheKernel: what the kernel grants is said, and what it refuses, with its name for
// that and what to do.
func TestPastTheKernel(t *testing.T) {
	if f := pastKernel("127.0.0.1", 9); f.State != Good || !strings.Contains(f.Measured, "not needed") {
		t.Errorf("the master's own PC: %+v", f)
	}
	if f := pastKernel("::1", 9); f.State != Notable || !strings.Contains(f.Measured, "IPv4") || f.Do == "" {
		t.Errorf("IPv6: %+v", f)
	}
	a, b := twopcs.New(t)
	refused := func(f Finding) bool {
		return f.State == Notable && strings.Contains(f.Measured, "AF_XDP: ") && strings.Contains(f.Measured, ": E") && f.Do != ""
	}
	b.Within(t, func() {
		if f := pastKernel(a.Address, 9); !(f.State == Good && strings.HasSuffix(f.Measured, b.Interface)) && !refused(f) {
			t.Errorf("with privileges: %+v", f)
		}
	})
	b.Within(t, func() { // on a thread that ends with it
		none := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var nothing [2]unix.CapUserData
		if err := unix.Capset(&none, &nothing[0]); err != nil {
			t.Errorf("give privileges up: %v", err)
		}
		if f := pastKernel(a.Address, 9); !refused(f) {
			t.Errorf("without privileges: %+v", f)
		}
	})
}
