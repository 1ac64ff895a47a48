package e2e

import (
	"path/filepath"
	"testing"
)

// TestCheckAsksWhoSimulates: what stands under simulate is held against the
// plugin that plays the device, and every mistake has its place.
func TestCheckAsksWhoSimulates(t *testing.T) {
	t.Parallel()
	const alice, bob = "nodes.alice.controllers.tc.config.address=sim", "nodes.bob.controllers.tc.config.address=sim"
	for name, c := range map[string]struct {
		simulate string
		sets     []string
		want     []string
	}{
		"unknown faults": {"alice: {faults: [silent, gremlins, slow-reply=5]}", []string{alice}, []string{
			`simulate.alice.faults.1: simulate fault "gremlins": unknown; the faults are clock-step=BY@AT, dlt-crash=RECORD`,
			"         ^ leave it out to simulate a controller that behaves",
			`simulate.alice.faults.2: simulate fault "slow-reply=5": read DURATION: a time needs a unit: write 5 s, not 5`}},
		"clock too noisy": {"alice: {white_fm: -0.1 ppb, random_walk_fm: 1 ppm, faults: [clock-step=5 ns]}", []string{alice}, []string{
			"simulate.alice.white_fm: -100 ppt is out of range", "^ write 0 ppb to 1 ppm",
			"simulate.alice.random_walk_fm: 1 ppm is out of range", "^ write 0 ppb to 100 ppb",
			`simulate.alice.faults.0: simulate fault "clock-step=5 ns": read BY@AT: "5 ns" has no @: write it like 5 ns@30 s`}},
		"no recording": {"alice: {replay: {file: recordings/none.bin, channels: {1: 1, two: 2}}}", []string{alice}, []string{
			"simulate.alice.replay.file: no recording at recordings/none.bin", "^ the name is relative to the file it is written in",
			`simulate.alice.replay.channels.two: "two" is not a number`, "^ write a whole number"}},
		"nothing simulated": {"alice: {dark: 2 kHz}", []string{bob}, []string{
			"simulate.alice: node alice has no simulated controller", "^ write address: sim in the config of one, or remove this section"}},
		"no START line": {`bob: {start_line: "127.0.0.1:7001"}`, []string{alice, bob, "trigger.method=hardware"}, []string{
			`simulate.alice: missing key "start_line": trigger.method: hardware starts simulated controllers by a START line`,
			"^ add start_line: 127.0.0.1:7001, the same at each node"}},
		"a line for nothing": {`bob: {start_line: "127.0.0.1:7001"}`, []string{bob}, []string{
			"simulate.bob.start_line: nothing uses a START line with trigger.method: scheduled", "^ write method: hardware, or remove it"}},
		"two lines": {"alice: {start_line: '127.0.0.1:7001'}\n  bob: {start_line: '127.0.0.1:7002'}", []string{alice, bob, "trigger.method=hardware"}, []string{
			"simulate.bob.start_line: node alice is on another START line, 127.0.0.1:7001", "^ write the same for both"}},
		"an unknown key": {"alice: {drak: 2 kHz}", []string{alice}, []string{`simulate.alice.drak: unknown key "drak"`, `^ did you mean "dark"?`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := "version: 1\nname: asked\nnodes:\n"
			for _, node := range []string{"alice", "bob"} {
				text += "  " + node + ":\n    controllers: {tc: {driver: tc-ethernet, config: {address: 192.0.2.1}}}\n    channels: {a: {on: tc/1, threshold: 1 V}}\n"
			}
			text += "trigger: {master: alice}\nacquire: {duration: 1 s}\nsinks: {raw: {sink: sink-file}}\nsimulate:\n  " + c.simulate + "\n"
			args := []string{"check", write(t, filepath.Join(t.TempDir(), "asked.yaml"), text)}
			for _, set := range c.sets {
				args = append(args, "--set", set)
			}
			r := runTsrun(t, t.TempDir(), args...)
			if r.code != 4 {
				t.Errorf("exit code %d, want 4", r.code)
			}
			contains(t, r.stdout+r.stderr, c.want...)
		})
	}
}

// TestDeviceWithoutThresholds: a recipe gives its channels none, and gives one
// where the device has some.
func TestDeviceWithoutThresholds(t *testing.T) {
	t.Parallel()
	recipe := func(driver, threshold string) string {
		return write(t, filepath.Join(t.TempDir(), "bare.yaml"), `version: 1
name: bare
nodes: {lab: {controllers: {tc: {driver: `+driver+`}}, channels: {a: {on: tc/1`+threshold+`}}}}
acquire: {duration: 1 s}
sinks: {raw: {sink: sink-file}}
`)
	}
	r, dir, m := runIn(t, recipe("tc-bare", ""))
	good(t, r)
	verified(t, dir)
	if m.Nodes["lab"].Channels["a"].Tags != 1000 {
		t.Errorf("recorded %d tags, want 1000", m.Nodes["lab"].Channels["a"].Tags)
	}
	again := runTsrun(t, t.TempDir(), filepath.Join(dir, "recipe", "resolved.yaml"))
	good(t, again)
	for driver, c := range map[string]struct{ threshold, want string }{
		"tc-bare":  {", threshold: 1 V", "nodes.lab.channels.a.threshold: the inputs of controller tc have no thresholds"},
		"tc-hurry": {"", `nodes.lab.channels.a.threshold: missing key "threshold"`},
	} {
		if r := runTsrun(t, t.TempDir(), "check", recipe(driver, c.threshold)); r.code != 4 {
			t.Errorf("%s: exit code %d, want 4", driver, r.code)
		} else {
			contains(t, r.stdout+r.stderr, c.want)
		}
	}
}
