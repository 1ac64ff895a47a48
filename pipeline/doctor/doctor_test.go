package doctor

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tsrun/internal/need"
	"tsrun/pipeline/host"
	"tsrun/pipeline/master"
	"tsrun/pipeline/recipe"
	"tsrun/sdk"
	"tsrun/sdk/quantity"
)

func TestMain(m *testing.M) {
	need.OwnFiles()
	os.Exit(m.Run())
}

func named(found []Finding, what string) Finding {
	if i := slices.IndexFunc(found, func(f Finding) bool { return f.What == what }); i >= 0 {
		return found[i]
	}
	return Finding{}
}

func TestWhoSteersTheClock(t *testing.T) {
	for _, c := range []struct {
		names []string
		state State
		do    string
	}{
		{nil, Good, "clock.source"},
		{[]string{"chronyd"}, Good, ""},
		{[]string{"phc2sys", "ptp4l"}, Good, ""},
		{[]string{"ptp4l"}, Good, "phc2sys -a -rr"},
		{[]string{"chronyd", "phc2sys", "ptp4l"}, Notable, "NTP and PTP both steer"},
		{[]string{"ptp4l", "systemd-timesyn"}, Notable, "free_running"},
		{[]string{"chronyd", "ntpd"}, Notable, "end all but one"},
		{[]string{"chronyd", "phc2sys", "ptp4l", "timemaster"}, Good, ""},
	} {
		if f := steered(c.names); f.State != c.state || !strings.Contains(f.Do, c.do) || c.do == "" && f.Do != "" {
			t.Errorf("%v: %+v", c.names, f)
		}
	}
}

func TestKnownLines(t *testing.T) {
	for text, do := range map[string]string{
		"ptp4l[1]: timed out while polling for tx timestamp":                                               "tx_timestamp_timeout 50",
		"ptp4l[1]: port 1 (eth0): increasing tx_timestamp_timeout or increasing kworker priority may help": "tx_timestamp_timeout 50",
		"phc2sys[2]: clockcheck: clock jumped backward or running slower than expected!":                   "-E ntpshm",
		"ts2phc[3]: extts event timed out":                                                                 "read less often",
		"ptp4l[1]: interface 'eth0' does not support requested timestamping mode":                          "ptp4l -S",
		"phc2sys[2]: failed to open /dev/ptp0: Permission denied":                                          "as root",
		"ptp4l[1]: port 1: SLAVE to LISTENING on ANNOUNCE_RECEIPT_TIMEOUT_EXPIRES":                         "domainNumber",
		"chronyd[4]: Can't synchronise: no selectable sources":                                             "sources -v",
		"chronyd[4]: System clock was stepped by 1.0 seconds":                                              "makestep",
	} {
		found := logs(t.Context(), Options{Logs: []Log{{"journal", []byte("ptp4l[1]: rms 12 max 20\n" + text + "\n" + text)}}})
		if len(found) != 1 || found[0].State != Notable || !strings.Contains(found[0].Do, do) || !strings.Contains(found[0].Measured, "2 lines") {
			t.Errorf("%q: %+v", text, found)
		}
	}
	for _, quiet := range []string{"", "\n\n", "ptp4l[1]: rms 12 max 20 freq +3", strings.Repeat("\x00\xff", 1<<16)} {
		if found := logs(t.Context(), Options{Logs: []Log{{"-", []byte(quiet)}}}); len(found) != 1 || found[0].State != Good {
			t.Errorf("%.20q: %+v", quiet, found)
		}
	}
}

// aRecipe is one of a local node with the ports of the test's own.
func aRecipe(t *testing.T, text string) master.Options {
	t.Helper()
	resolved, err := recipe.Parse("doctor.yaml", []byte(text), recipe.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return master.Options{Recipe: resolved, Runs: filepath.Join(t.TempDir(), "not", "yet"), PluginDirs: []string{t.TempDir()}}
}

const local = `version: 1
name: doctor
nodes:
  alice:
    controllers: {tc: {driver: tc-nowhere}}
    channels: {signal: {on: tc/1, threshold: 120 mV}}
acquire: {duration: 1 s}
sinks: {raw: {sink: sink-nowhere}}
`

// What a run would be refused for is found, each with what to do, and nothing is made.
func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	o := aRecipe(t, local)
	o.Recipe.Recipe.Network.Ports.Status = taken.Addr().(*net.TCPAddr).Port
	o.Recipe.Recipe.Faults.DiskBelow = 1 << 60 * quantity.Byte
	d := Examine(t.Context(), Options{Run: o})
	if !d.Refused {
		t.Error("a run is not refused")
	}
	for what, says := range map[string]string{"network.ports.status": "in use", "space": "MiB left", "of the recipe": "tc-nowhere", "alice.tc": "tc-nowhere"} {
		if f := named(d.Findings, what); f.State != Refused || !strings.Contains(f.Measured, says) || f.Do == "" {
			t.Errorf("%s: %+v", what, f)
		}
	}
	if f := named(d.Findings, "network.ports.files"); f.State != Good {
		t.Errorf("%+v", f)
	}
	if _, err := os.Stat(filepath.Dir(o.Runs)); !os.IsNotExist(err) {
		t.Errorf("the directory of runs was made: %v", err)
	}
}

// Without a recipe nothing is refused; a PC as it is has findings about each part.
func TestWithoutARecipe(t *testing.T) {
	t.Parallel()
	d := Examine(t.Context(), Options{Run: master.Options{Runs: t.TempDir()}})
	if d.Refused {
		t.Errorf("%+v", d.Findings)
	}
	for _, what := range []string{"realtime.priority", "firing", "governor", "services", "kernel", "time stamps", "space", "writing"} {
		if f := named(d.Findings, what); f.Measured == "" {
			t.Errorf("nothing about %s", what)
		}
	}
}

// A master on another PC is dialled: what refuses at once is reached.
func TestTheWayToAMaster(t *testing.T) {
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := open.Addr().(*net.TCPAddr).Port
	if f := reach(t.Context(), "127.0.0.1", "status", port); f.State != Good || !strings.Contains(f.Measured, "reached, round trip") {
		t.Errorf("%+v", f)
	}
	open.Close()
	if f := reach(t.Context(), "127.0.0.1", "status", port); f.State != Good || !strings.Contains(f.Measured, "no tsrun runs there") {
		t.Errorf("%+v", f)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if f := reach(gone, "127.0.0.1", "status", port); f.State != Notable || !strings.Contains(f.Do, "firewalls") {
		t.Errorf("%+v", f)
	}
}

// TestTheWayToTheClock: a closed port answers, and one that says nothing is lost or of a
// tsrun, as its status port says.
func TestTheWayToTheClock(t *testing.T) {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	port := conn.LocalAddr().(*net.UDPAddr).Port
	if f := reachUDP(t.Context(), "127.0.0.1", udpClock, port, Finding{Measured: reached + "round trip 1ms"}); f.State != Good || !strings.Contains(f.Measured, "its own nodes") {
		t.Errorf("%+v", f)
	}
	if f := reachUDP(t.Context(), "127.0.0.1", udpClock, port, Finding{Measured: "the PC is reached; no tsrun runs there now"}); f.State != Notable || !strings.Contains(f.Do, "UDP port") {
		t.Errorf("%+v", f)
	}
	if f := reachUDP(t.Context(), "127.0.0.1", udpTrigger, port, Finding{Measured: "the PC is reached; no tsrun runs there now"}); f.State != Notable || !strings.Contains(f.Do, "trigger.fast: off") || !strings.Contains(f.What, "trigger") {
		t.Errorf("%+v", f)
	}
	conn.Close()
	if f := reachUDP(t.Context(), "127.0.0.1", udpClock, port, Finding{}); f.State != Good || !strings.Contains(f.Measured, "no tsrun runs there") {
		t.Errorf("%+v", f)
	}
}

// TestKeysAndPinnedPlugins: what a run is refused for is found before.
func TestKeysAndPinnedPlugins(t *testing.T) {
	o := Options{Run: aRecipe(t, local)}
	if found := append(keys(o), pinned(o)...); len(found) > 0 {
		t.Errorf("nothing is secured or pinned: %+v", found)
	}
	o.Run.Lock = host.Lock{}
	o.Run.PluginDirs = []string{t.TempDir()}
	name := o.Run.Recipe.Recipe.Plugins()[0]
	path := filepath.Join(o.Run.PluginDirs[0], name)
	description := fmt.Sprintf(`{"name": %q, "version": "1", "protocol": 2, "sinks": [{"name": %q, "schema": {"type": "object"}}]}`, name, name)
	for file, text := range map[string]string{path: "#!/bin/sh\n", path + ".json": description} {
		if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if found := pinned(o); len(found) != 1 || found[0].State != Refused || !strings.Contains(found[0].Do, "tsrun plugin lock") {
		t.Errorf("a plugin that is not pinned: %+v", found)
	}
	c, err := host.Find(o.Run.PluginDirs, name)
	if err != nil {
		t.Fatal(err)
	}
	o.Run.Lock.Pin(c)
	if found := pinned(o); len(found) != 1 || found[0].State != Good {
		t.Errorf("a plugin that is pinned: %+v", found)
	}
	o.Run.Recipe.Recipe.Network.Master = "10.0.0.1"
	o.Run.Secure = func(*master.Options) error { return &sdk.Failure{Code: "keys", Message: "no keys", Hint: "tsrun pair"} }
	if found := keys(o); len(found) != 1 || found[0].State != Refused || found[0].Do != "tsrun pair" {
		t.Errorf("no keys: %+v", found)
	}
}
