package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"tsrun/internal/twopcs"
)

// shiftSource is what Go's package time gets where a program is built for a PC whose
// clock is another. The test holds that clock in memory that it shares with the program and its
// plugins, which are confined and could read no file: the setting tsrunshift of GODEBUG names it.
// From a moment of the true clock on, in ns, a clock is so many ns ahead, and gains so many ppb.
const shiftSource = `package time

import (
	"syscall"
	"unsafe"
)

type shiftedClock struct{ which int64; clocks [2]struct{ ahead, ppb, from int64 }; unstamped int64 }

var shifted = attachShifted()

func attachShifted() *shiftedClock {
	const key = "tsrunshift="
	text, _ := syscall.Getenv("GODEBUG")
	if len(text) <= len(key) || text[:len(key)] != key {
		return new(shiftedClock)
	}
	id := uintptr(0)
	for _, c := range text[len(key):] {
		id = 10*id + uintptr(c-'0')
	}
	at, _, errno := syscall.RawSyscall(syscall.SYS_SHMAT, id, 0, 0)
	if errno != 0 {
		panic("the clock of this PC cannot be had: " + errno.Error())
	}
	return *(**shiftedClock)(unsafe.Pointer(&at))
}

// Shifted is what the PC's clock shows at a moment of the true one.
func Shifted(ns int64) int64 {
	c := shifted.clocks[shifted.which]
	return ns + c.ahead + (ns-c.from)*c.ppb/1e9
}

// Drifted is how much of what the clock is ahead it has gained, and was not set to.
func Drifted() int64 {
	c := shifted.clocks[shifted.which]
	return (TrueNs() - c.from) * c.ppb / 1e9
}

// Stamped reports whether this PC's kernel stamps packets.
func Stamped() bool { return shifted.unstamped == 0 }

// TrueNs is the true clock.
func TrueNs() int64 {
	sec, nsec, _ := runtimeNow()
	return sec*1e9 + int64(nsec)
}

func shiftedNow() (sec int64, nsec int32, mono int64) {
	sec, nsec, mono = runtimeNow()
	c := shifted.clocks[shifted.which]
	ns := int64(nsec) + (sec*1e9+int64(nsec)-c.from)*c.ppb/1e9 + c.ahead%1e9
	sec += c.ahead/1e9 + ns/1e9
	if ns %= 1e9; ns < 0 {
		sec, ns = sec-1, ns+1e9
	}
	return sec, int32(ns), mono
}
`

// buildShifted builds tsrun and what a run needs of plugins so that every read of the PC's
// clock is off, also the kernel's stamps of packets. The simulated sky keeps the true time.
func buildShifted(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(bin, "shifted")
	shiftedOnce.Do(func() { buildShiftedIn(t, dir) })
	if _, err := os.Stat(filepath.Join(dir, "built")); err != nil {
		t.Fatal("the programs with another clock were not built")
	}
	return dir
}

// shiftedOnce has them built once for all tests.
var shiftedOnce sync.Once

func buildShiftedIn(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "plugins"), 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	house, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	library := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	overlay := map[string]string{filepath.Join(library, "tsrun_shift.go"): write(t, filepath.Join(dir, "shift.go"), shiftSource)}
	for file, change := range map[string][]string{
		filepath.Join(library, "time.go"): {"sec, nsec, mono := runtimeNow()\n\tif mono == 0 {\n\t\treturn", "sec, nsec, mono := shiftedNow()\n\tif mono == 0 {\n\t\treturn"},
		filepath.Join(house, "sdk/realtime/clock_linux.go"): {"import (", "import (\n\t\"time\"",
			"return clockNow(unix.CLOCK_REALTIME)", "return time.Shifted(clockNow(unix.CLOCK_REALTIME))"},
		filepath.Join(house, "pipeline/clock/socket_linux.go"): {"return s*1e9 + ns, s > 0", "return time.Shifted(s*1e9 + ns), s > 0 && time.Stamped()"},
		filepath.Join(house, "pipeline/clock/step.go"):         {"by := now.Real - now.Mono - before", "by := now.Real - now.Mono - before - time.Drifted()"},
		filepath.Join(house, "sim/sky/instant.go"):             {"Unix(time.Now().UnixNano(), 0)", "Unix(time.TrueNs(), 0)"},
		filepath.Join(house, "sim/idq/controller.go"): {"import (", "import (\n\t\"time\"",
			"realtime.Await(ctx, ns+1)", "realtime.Await(ctx, time.Shifted(ns+1))"},
	} {
		old, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		changed := string(old)
		for i := 0; i < len(change); i += 2 {
			if strings.Count(changed, change[i]) != 1 {
				t.Fatalf("%s does not read the clock by %q any more", file, change[i])
			}
			changed = strings.Replace(changed, change[i], change[i+1], 1)
		}
		overlay[file] = write(t, filepath.Join(dir, fmt.Sprintf("%d.go", len(overlay))), changed)
	}
	list, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	replaced := write(t, filepath.Join(dir, "overlay.json"), string(list))
	for out, pkg := range map[string]string{"tsrun": "./cmd/tsrun", "plugins/tc-ethernet": "./plugins/tc-ethernet", "plugins/sink-file": "./plugins/sink-file"} {
		build := exec.Command("go", "build", "-overlay", replaced, "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, out), pkg)
		build.Dir, build.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
		if said, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", pkg, err, said)
		}
	}
	for _, plugin := range []string{"tc-ethernet", "sink-file"} {
		from := filepath.Join("plugins", plugin+".json")
		write(t, filepath.Join(dir, from), string(contentOf(t, bin, from)))
	}
	write(t, filepath.Join(dir, "built"), "")
}

// clockMemory is what the test and the program share.
type clockMemory struct {
	which     atomic.Int64 // of the two, which counts: the other is written
	clocks    [2]shiftedBy
	unstamped atomic.Int64 // not 0: its kernel stamps no packets
}

// shiftedBy is a clock that is so many ns ahead at a moment of the true one, and gains so
// many parts in 1e9.
type shiftedBy struct{ ahead, ppb, from int64 }

// at is how far it is ahead at a moment of the true clock.
func (c shiftedBy) at(ns int64) int64 { return c.ahead + (ns-c.from)*c.ppb/1e9 }

// shiftedClock is the clock of a PC that the test sets and turns.
type shiftedClock struct {
	id   int
	held *clockMemory
	was  []shiftedBy // all that it has been, in order of time
}

// newShiftedClock makes a clock that is ahead and gains so many parts in 1e9.
func newShiftedClock(t *testing.T, ahead time.Duration, ppb int64) *shiftedClock {
	t.Helper()
	id, err := unix.SysvShmGet(unix.IPC_PRIVATE, 4096, unix.IPC_CREAT|0o600)
	if err != nil {
		t.Fatal(err)
	}
	memory, err := unix.SysvShmAttach(id, 0, 0)
	if _, gone := unix.SysvShmCtl(id, unix.IPC_RMID, nil); err != nil || gone != nil { // it is gone when all have let go of it
		t.Fatal(err, gone)
	}
	t.Cleanup(func() { _ = unix.SysvShmDetach(memory) })
	c := &shiftedClock{id: id, held: (*clockMemory)(unsafe.Pointer(&memory[0]))}
	c.become(shiftedBy{ahead.Nanoseconds(), ppb, time.Now().UnixNano()})
	return c
}

// become changes the clock at once for all that read it.
func (c *shiftedClock) become(by shiftedBy) {
	next := 1 - c.held.which.Load()
	c.held.clocks[next] = by
	c.held.which.Store(next)
	c.was = append(c.was, by)
}

// set moves the clock at once.
func (c *shiftedClock) set(by time.Duration) {
	is := c.was[len(c.was)-1]
	is.ahead += by.Nanoseconds()
	c.become(is)
}

// turn has it gain otherwise from now on.
func (c *shiftedClock) turn(ppb int64) {
	now := time.Now().UnixNano()
	c.become(shiftedBy{c.was[len(c.was)-1].at(now), ppb, now})
}

// ahead is how far the clock was ahead when it showed a time.
func (c *shiftedClock) ahead(shown int64) int64 {
	for i := len(c.was) - 1; ; i-- {
		is := c.was[i]
		truly := shown - is.at(shown-is.ahead)
		if i == 0 || truly >= is.from {
			return is.at(truly)
		}
	}
}

// program is how a tsrun of [buildShifted] is started on a PC with this clock.
func (c *shiftedClock) program(pc twopcs.PC, built string) []string {
	return append(append([]string(nil), pc.In...), "env", fmt.Sprintf("GODEBUG=tsrunshift=%d", c.id), filepath.Join(built, "tsrun"))
}
