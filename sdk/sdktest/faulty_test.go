package sdktest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// faults are those that sdk/internal/faulty can have. The check of the same name
// finds it, and says so in these words; what else it breaks, other checks find as
// well.
var faults = []struct{ plugin, fault, says, also string }{
	{"faulty-driver", "handshake:noise", "print nothing before the handshake", "all"},
	{"faulty-driver", "handshake:beats", "no beat within", ""},
	{"faulty-driver", "handshake:child", "a process that the plugin has started is still there", "all"},
	{"faulty-driver", "describe", "and --describe of", ""},
	{"faulty-driver", "schema:open", "additionalProperties", ""},
	{"faulty-driver", "schema:silent", "has no description", ""},
	{"faulty-driver", "config-mistakes", "want a refusal", ""},
	{"faulty-driver", "config-check", "it is Sunday", ""},
	{"faulty-driver", "device", "set Device.Simulated", ""},
	{"faulty-driver", "shots:one", "it has had its shot", "stop-armed stop-ended stop-running stop-waiting"},
	{"faulty-driver", "shots:unseen", "the event Started was not told", "shots"},
	{"faulty-driver", "shots:count", "Ended counts", "shots"},
	{"faulty-driver", "shots:unmarked", "mark the end", "shots"},
	{"faulty-driver", "shots:end", "the driver left before the End", "shots"},
	{"faulty-driver", "shots:gap", "are missing", "shots"},
	{"faulty-driver", "shots:twice", "came twice", "shots"},
	{"faulty-driver", "shots:disorder", "the header says", "shots"},
	{"faulty-driver", "shots:checksum", "checksum", "shots"},
	{"faulty-driver", "shots:back", "but the blocks before it reach", "shots"},
	{"faulty-driver", "late-times:far-back", "but the blocks before it reach", "consumer-pauses device-clock order-of-calls"},
	{"faulty-driver", "shots:negative", "18446744073709551611", "shots"},
	{"faulty-driver", "shots:mute", "is marked until 0 ps", "shots"},
	{"faulty-driver", "shots:early", "the event Ended", "shots"},
	{"faulty-driver", "shots:report", "is no JSON", "shots"},
	{"faulty-driver", "shots:started-back", "before it was called", "shots"},
	{"faulty-driver", "shots:started-never", "1970", "shots"},
	{"faulty-driver", "shots:started-2116", "2116", "shots"},
	{"faulty-driver", "order-of-calls:bare", "no Failure in its details", "arm-after-error config-mistakes"},
	{"faulty-driver", "order-of-calls:start", "a start before Arm was taken", ""},
	{"faulty-driver", "order-of-calls:configure", "a second Configure was taken", ""},
	{"faulty-driver", "order-of-calls:arm", "a second Arm was taken", ""},
	{"faulty-driver", "arm-after-error", "input 999", ""},
	{"faulty-driver", "device-clock", "the times are the PC's", ""},
	{"faulty-driver", "late-times", "beyond 40 bits", "consumer-pauses device-clock order-of-calls"},
	{"faulty-driver", "consumer-pauses", "", ""},
	{"faulty-driver", "consumer-goes", "ended without a failure", ""},
	{"faulty-driver", "stop-armed", "not now", ""},
	{"faulty-driver", "stop-waiting", "not now", ""},
	{"faulty-driver", "stop-running", "not now", "late-times"},
	{"faulty-driver", "stop-ended", "not now", "consumer-goes stop-armed stop-running stop-waiting"},
	{"faulty-driver", "close-open", "not now", "device"},
	{"faulty-driver", "close-armed", "not now", ""},
	{"faulty-driver", "close-waiting", "not now", ""},
	{"faulty-driver", "close-running", "not now", ""},
	{"faulty-driver", "close-ended", "not now", "shots"},
	{"faulty-driver", "host-gone-open", "still there", ""},
	{"faulty-driver", "host-gone-armed", "still there", ""},
	{"faulty-driver", "host-gone-waiting", "still there", ""},
	{"faulty-driver", "host-gone-running", "still there", ""},
	{"faulty-driver", "host-gone-ended", "still there", ""},
	{"faulty-driver", "host-killed-handshake", "still there", "host-killed-connected"},
	{"faulty-driver", "host-killed-connected", "still there", "host-killed-handshake"},
	{"faulty-driver", "host-killed-leased", "still there", ""},
	{"faulty-sink", "recording:short", "it was sent", "in-place late-times"},
	{"faulty-sink", "recording:lost", "9223372036854775", "in-place late-times no-tags"},
	{"faulty-sink", "recording:hash", "SHA-256", "close-ended in-place late-times no-tags"},
	{"faulty-sink", "recording:stray", "that was not told of", "close-ended in-place late-times no-tags"},
	{"faulty-sink", "late-times", "the times differ", ""},
	{"faulty-sink", "no-tags", "nothing to write", ""},
	{"faulty-sink", "in-place", "it must only read them there", ""},
	{"faulty-sink", "order-of-calls:begin", "a second Begin was taken", ""},
	{"faulty-sink", "bad-tags", "has not told of a failure", ""},
	{"faulty-sink", "core-goes", "has not told of a failure", ""},
	{"faulty-sink", "killed", "soon.bin", "bad-tags close-ended close-running core-goes disk-full in-place recording"},
	{"faulty-sink", "disk-full", "want a refusal", ""},
	{"faulty-sink", "no-directory", "want a refusal", ""},
	{"faulty-sink", "close-open", "not now", "no-directory"},
	{"faulty-sink", "close-running", "not now", "bad-tags core-goes disk-full"},
	{"faulty-sink", "close-ended", "not now", "in-place late-times no-tags order-of-calls recording"},
	{"faulty-sink", "host-gone-open", "still there", ""},
	{"faulty-sink", "host-gone-running", "still there", ""},
	{"faulty-sink", "host-gone-ended", "still there", ""},
}

// faulty returns the suite of a plugin with a fault.
func faulty(t *testing.T, program, plugin, fault string) *Suite {
	t.Helper()
	path := filepath.Join(t.TempDir(), plugin)
	if err := os.Symlink(program, path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".fault", []byte(fault), 0o600); err != nil {
		t.Fatal(err)
	}
	suites, err := Suites(t.Context(), path, Options{})
	if err != nil || len(suites) != 1 {
		t.Fatalf("%d suites: %v", len(suites), err)
	}
	return suites[0]
}

// TestGoodPluginPasses: what has no fault passes each check, though it does not
// stand on the SDK.
func TestGoodPluginPasses(t *testing.T) {
	program := Build(t, "../internal/faulty")
	for _, plugin := range []string{"faulty-driver", "faulty-sink"} {
		t.Run(plugin, func(t *testing.T) {
			t.Parallel()
			faulty(t, program, plugin, "").Run(t.Context(), func(r Result) {
				if r.Status != Passed {
					t.Error(r)
				}
			})
		})
	}
}

// TestEachCheckFindsItsFault: a plugin with one fault fails the check that is
// there for it, which says what is wrong.
func TestEachCheckFindsItsFault(t *testing.T) {
	program := Build(t, "../internal/faulty")
	untried := map[string][]string{}
	places := make(chan struct{}, 24)
	var running sync.WaitGroup
	for _, f := range faults {
		name, _, _ := strings.Cut(f.fault, ":")
		s := faulty(t, program, f.plugin, f.fault)
		if untried[f.plugin] == nil {
			untried[f.plugin] = s.Checks()
		}
		untried[f.plugin] = slices.DeleteFunc(untried[f.plugin], func(one string) bool { return one == name })
		running.Go(func() { // they wait more than they compute
			places <- struct{}{}
			defer func() { <-places }()
			all := s.checks()
			c := all[slices.IndexFunc(all, func(c check) bool { return c.name == name })]
			if r := s.judge(t.Context(), c); r.Status != Failed || !strings.Contains(r.Note, f.says) {
				t.Errorf("fault %s: %s; want failed, and the words %q", f.fault, r, f.says)
			}
		})
	}
	running.Wait()
	// What every plugin must do is tried on drivers.
	if left := untried["faulty-driver"]; len(left) > 0 {
		t.Errorf("no fault for the checks of drivers %v", left)
	}
	if left := slices.DeleteFunc(untried["faulty-sink"], func(one string) bool {
		return slices.Contains([]string{"handshake", "describe", "schema", "config-mistakes", "config-check"}, one) || strings.HasPrefix(one, "host-killed-")
	}); len(left) > 0 {
		t.Errorf("no fault for the checks of sinks %v", left)
	}
}
