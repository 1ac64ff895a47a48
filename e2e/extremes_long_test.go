package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/pipeline/run"
)

// trial is how the extremes of one key of a recipe are run. The zero trial sets
// the key in a recipe of two controllers that deliver at once, and expects a
// run that is good.
type trial struct {
	kind     kind
	stage    string                      // of a key of the pipeline
	channels int                         // of each node; 1 where it is left out
	bounds   []string                    // least and greatest, of a key whose table gives none
	write    func(value string) []string // the settings that make a value; the key itself where it is nil
	sets     []string                    // what else is set
	costly   bool                        // the greatest is left out where there are fewer trials
	alone    bool                        // beside it there would be few tags, or none, to show what others do
	least    end
	greatest end
}

// kind is what a trial runs on.
type kind int

const (
	hurriedKind   kind = iota // controllers that deliver at once, no stages
	lightKind                 // the same, of pairs by chance, with the stage of the key
	simulatedKind             // simulated controllers, in real time
)

// end is how a run at an extreme ends: good, where it says nothing else.
type end struct {
	sets      []string // at this end only
	value     string   // the last that is accepted beside other keys, where that of the table is not
	condition run.Condition
	says      string // in the reasons
	stop      bool   // ended by its user once tags have come
	refused   string // where the machine decides: the run may end with exit code 5 and this
}

// listOf sets a key to a list of so many channels: the first of node, up to
// each of them, then those of bob.
func listOf(key, node string, each int) func(string) []string {
	return func(value string) []string {
		n, _ := strconv.Atoi(value)
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf("%s.c%d", node, i+1)
			if i >= each {
				names[i] = fmt.Sprintf("bob.c%d", i-each+1)
			}
		}
		return []string{fmt.Sprintf("%s=[%s]", key, strings.Join(names, ", "))}
	}
}

const (
	scan  = "pipeline.scan.config."
	g2    = "pipeline.g2.config."
	tiny  = "acquire.duration=10 ms"
	every = ".controllers.tc.config.every="
)

// slow sets how rare tags are; they are pairs all the same.
func slow(rarity string, more ...string) []string {
	return append(more, "nodes.alice"+every+rarity, "nodes.bob"+every+rarity)
}

var (
	few      = slow("2 ms") // many would be very many pairs of a long window
	longLong = slow("20 ms", "acquire.duration=1000 s", "acquire.segment=100 s")
)

// trials are of the keys that need more than being set.
var trials = map[string]trial{
	"acquire.repeat":     {kind: simulatedKind, greatest: end{sets: []string{"acquire.duration=1 s"}, condition: run.Interrupted, stop: true}},
	"acquire.duration":   {alone: true, greatest: end{sets: slow("1 min", "acquire.segment=1 h")}},
	"acquire.segment":    {least: end{sets: []string{"acquire.duration=10 s"}}, greatest: end{sets: slow("1 s", "acquire.duration=49 h")}},
	"network.join":       {least: end{refused: "when the time was up"}},
	"trigger.lead":       {least: end{refused: "nobody fired"}},
	"realtime.busy_poll": {sets: []string{"trigger.method=broadcast", "trigger.fast=udp"}},
	"transfer.chunk":     {sets: []string{"nodes.alice" + every + "1 us"}},
	"faults.disk_below":  {bounds: []string{"0 B", "9223372036854775807 B"}, greatest: end{refused: "disk_below"}},
	"sinks.SINK.takes":   {channels: 500, write: listOf("sinks.raw.takes", "alice", 500), sets: []string{tiny}},
	"sinks.SINK.config (live).of": {channels: 256, sets: []string{tiny, "trigger.lead=5 s"}, write: func(n string) []string {
		return liveSink("of", strings.SplitN(listOf("", "alice", 256)(n)[0], "=", 2)[1])
	}},
	"sinks.SINK.config (live).queue": {write: func(n string) []string { return liveSink("queue", n+", of: [alice.c1]") }},
	"expect.NODE.CHANNEL.rate.min":   {bounds: []string{"0 Hz", "9 GHz"}, greatest: end{sets: []string{tiny}, condition: run.Tainted, says: "rate"}}, // of a longer one so many tags may not fit the disk
	"expect.NODE.CHANNEL.rate.max":   {bounds: []string{"0 Hz", "9 GHz"}, least: end{condition: run.Tainted, says: "rate"}},

	"pipeline.config (align).reference":                   {kind: lightKind, channels: 64, write: listOf("pipeline.align.config.reference", "alice", 64)},
	"pipeline.config (align).target":                      {kind: lightKind, channels: 64, write: listOf("pipeline.align.config.target", "bob", 64)},
	"pipeline.config (align).targets":                     {kind: lightKind, write: clocksOf, costly: true},
	"pipeline.config (coincidences).of":                   {kind: lightKind, channels: 4, write: listOf("pipeline.coincidences.config.of", "alice", 4)},
	"pipeline.config (rates).of":                          {kind: lightKind, channels: 32, write: listOf("pipeline.rates.config.of", "alice", 32)},
	"pipeline.config (coincidences).window":               {kind: lightKind, greatest: end{sets: few}},
	"pipeline.config (scan).window":                       {kind: lightKind, greatest: end{sets: few}},
	"pipeline.config (scan).from":                         {kind: lightKind, least: end{sets: []string{scan + "step=1 s"}}, greatest: end{sets: []string{scan + "to=100 s", scan + "step=1 s"}}},
	"pipeline.config (scan).to":                           {kind: lightKind, least: end{sets: []string{scan + "from=-100 s", scan + "step=1 s"}}, greatest: end{sets: []string{scan + "step=1 s"}}},
	"pipeline.config (scan).step":                         {kind: lightKind, greatest: end{sets: []string{scan + "to=100 s"}}},
	"pipeline.config (g2).range":                          {kind: lightKind, least: end{sets: []string{g2 + "bin=1 ps"}}, greatest: end{sets: []string{g2 + "bin=1 ms"}}},
	"pipeline.config (g2).bin":                            {kind: lightKind, greatest: end{sets: []string{g2 + "range=100 s"}}},
	"pipeline.config (g2).far":                            {kind: lightKind, greatest: end{value: "99 s", sets: []string{g2 + "range=100 s", g2 + "bin=1 s"}}},
	"pipeline.config (g2).period":                         {kind: lightKind, least: end{value: "2 ps", sets: []string{g2 + "bin=1 ps"}, condition: run.Tainted, says: "the pulses beside that at zero differ"}, greatest: end{value: "66 s", sets: []string{g2 + "range=100 s", g2 + "bin=1 s"}}},
	"pipeline.config (coincidences).offsets.NODE.CHANNEL": {kind: lightKind, sets: longLong},
	"pipeline.config (coincidences).shift":                {kind: lightKind, least: end{value: "3 ps", sets: []string{"pipeline.coincidences.config.window=2 ps"}}, greatest: end{sets: longLong}},
	"pipeline.config (coincidences).period":               {kind: lightKind, greatest: end{sets: longLong}},
	"pipeline.config (histogram).range":                   {kind: lightKind, least: end{sets: []string{"pipeline.histogram.config.bin=1 ps"}}, greatest: end{sets: []string{"pipeline.histogram.config.bin=1 ms"}}},
	"pipeline.config (histogram).bin":                     {kind: lightKind, greatest: end{sets: []string{"pipeline.histogram.config.range=100 s"}}},
	"simulate.NODE.efficiency":                            {alone: true},
	"simulate.pairs.rate":                                 {alone: true, greatest: end{sets: []string{tiny}, condition: run.Tainted, says: "its device records at most"}},
	"simulate.NODE.dark":                                  {alone: true, greatest: end{sets: []string{tiny}, condition: run.Tainted, says: "its device records at most"}},
	"simulate.NODE.faults": {kind: simulatedKind, write: func(n string) []string {
		return []string{"simulate.alice.faults=[" + strings.Repeat("slow-reply=1 ms, ", atoi(n)-1) + "slow-reply=1 ms]"}
	}},
	"simulate.NODE.pulse_spread": {kind: simulatedKind, sets: []string{"simulate.alice.pulse_height=1 V"}},
	"simulate.NODE.sees":         {kind: simulatedKind, sets: []string{tiny}, write: wordsOf("simulate.alice.sees", "source")},
	"on_end.command":             {write: wordsOf("on_end.command", "true")},
	"on_end.timeout":             {sets: []string{"on_end.command=[true]"}},
	"simulate.NODE.replay.channels.INPUT": {kind: simulatedKind, write: func(n string) []string {
		return []string{"simulate.alice.replay={file: r" + n + ".txt, channels: {1: " + n + "}}"}
	}},
}

// liveSink adds a live sink with a key of its config.
func liveSink(key, value string) []string {
	return []string{fmt.Sprintf(`sinks.live={sink: live, takes: merged, config: {address: "ipc:///tmp/tsrun-extreme-%d-%s-%d", %s: %s}}`, os.Getpid(), key, len(value), key, value)}
}

// clocksOf lets an align stage find the clocks of so many controllers of bob, all of which
// see alice's light.
func clocksOf(n string) []string {
	sets, targets := []string{}, []string{"bob.c1"}
	for i := 2; i <= atoi(n); i++ {
		sets = append(sets, fmt.Sprintf("nodes.bob.controllers.t%d={driver: tc-hurry, config: {every: 50 us, light: true}}", i),
			fmt.Sprintf("nodes.bob.channels.c%d={on: t%[1]d/1, threshold: 120 mV}", i))
		targets = append(targets, fmt.Sprintf("bob.c%d", i))
	}
	return append(sets, fmt.Sprintf("pipeline.align.config={reference: alice.c1, targets: [%s], search: 1 us, max_drift: 1 ppm}", strings.Join(targets, ", ")))
}

// wordsOf sets a list to so many words, the first of them as it is.
func wordsOf(key, first string) func(n string) []string {
	return func(n string) []string {
		words := []string{first}
		for i := 1; i < atoi(n); i++ {
			words = append(words, fmt.Sprintf("word%d", i))
		}
		return []string{fmt.Sprintf("%s=[%s]", key, strings.Join(words, ", "))}
	}
}

func atoi(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

// keyRow is a row of the reference of keys: the key, and its values.
var keyRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]+) \\|")

// boundedValue is the second column of a key that has bounds.
var boundedValue = regexp.MustCompile(`^(?:.*, )?(\S+(?: \S+)?) to (\S+(?: \S+)??)(?: entries)?$`)

// between returns what a file says between two marks.
func between(t *testing.T, path, from, to string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), from)
	inside, _, found := strings.Cut(rest, to)
	if !found {
		t.Fatalf("%s has no %s", path, to)
	}
	return inside
}

// TestLongExtremes runs every key of the table of recipes at its least and its
// greatest value, and every key of the simulation. The keys come from the
// reference in docs/recipe.md, which is made from that table, and from
// docs/simulation.md. Where there are fewer trials, keys that need nothing but
// being set are set in one run, all to their least or all to their greatest.
func TestLongExtremes(t *testing.T) {
	t.Parallel()
	alone := need.LongTrials(t, 1, 0) == 1
	together := map[string]*trial{}
	reference := between(t, "../docs/recipe.md", "<!-- keys:", "<!-- end of keys -->") +
		between(t, "../docs/simulation.md", "<!-- keys of tc-ethernet -->", "<!-- end of keys of tc-ethernet -->")
	seen := map[string]bool{}
	for _, row := range keyRow.FindAllStringSubmatch(reference, -1) {
		key, trial := row[1], trials[row[1]]
		bounds := trial.bounds
		if m := boundedValue.FindStringSubmatch(strings.TrimSpace(row[2])); m != nil {
			bounds = m[1:]
		}
		if bounds == nil {
			continue
		}
		seen[key] = true
		switch {
		case strings.HasPrefix(key, "pipeline."):
			trial.kind = lightKind
			trial.stage = stageOf.FindStringSubmatch(key)[1]
		case strings.HasPrefix(key, "simulate."):
			trial.kind = simulatedKind
		}
		for i, which := range []string{"least", "greatest"} {
			e := []end{trial.least, trial.greatest}[i]
			switch {
			case !alone && trial.plain(key, e):
				trial.join(together, which, key+"="+bounds[i])
			case alone || which == "least" || !trial.costly:
				t.Run(key+" "+which+" "+bounds[i], func(t *testing.T) { t.Parallel(); trial.run(t, key, bounds[i], e) })
			}
		}
	}
	for name, all := range together {
		t.Run(name, func(t *testing.T) { t.Parallel(); t.Log(all.sets); all.run(t, "version", "1", end{}) })
	}
	t.Run("the longest names", func(t *testing.T) {
		t.Parallel()
		long := strings.Repeat("n", 32)
		text := strings.NewReplacer("bob", long, "tc:", long+":", "tc/", long+"/", "c1", long, "raw", long, "extreme", long).Replace(trial{}.recipe())
		work := t.TempDir()
		good(t, runTsrun(t, work, write(t, filepath.Join(work, "long.yaml"), text)))
		whole(t, work)
	})
	t.Run("the longest record, ended by its user", func(t *testing.T) {
		t.Parallel()
		trial{kind: simulatedKind, sets: []string{"acquire.segment=1 h"}}.run(t, "acquire.duration", "2400 h", end{condition: run.Interrupted, stop: true})
	})
	if len(seen) < 50 {
		t.Errorf("only %d keys with bounds were found", len(seen))
	}
	for key := range trials {
		if !seen[key] {
			t.Errorf("there is no key %s with bounds any more", key)
		}
	}
}

// setting writes a key of the reference as the path of an override.
var setting = strings.NewReplacer("NODE.CHANNEL", "alice.c1", "NODE", "alice", "CHANNEL", "c1", "CONTROLLER", "tc", "INPUT", "1", "SINK", "raw",
	"pipeline.config (", "pipeline.", ")", ".config")

// plain says whether all that a key needs at an end is that it is set, whatever else is
// set beside it.
func (tr trial) plain(key string, e end) bool {
	return tr.kind != lightKind && !tr.alone && tr.write == nil && tr.sets == nil && reflect.DeepEqual(e, end{}) &&
		!strings.HasPrefix(key, "network.ports.") // of which no two may be the same
}

// join sets a key in the trial of those of its kind that are run together.
func (tr trial) join(together map[string]*trial, which, set string) {
	name := which + ", " + [...]string{hurriedKind: "hurried", simulatedKind: "simulated"}[tr.kind]
	if together[name] == nil {
		together[name] = &trial{kind: tr.kind}
	}
	together[name].sets = append(together[name].sets, setting.Replace(set))
}

func (tr trial) run(t *testing.T, key, value string, e end) {
	work := t.TempDir()
	if e.value != "" {
		if r := runTsrun(t, work, tr.line(t, work, key, value, e)...); r.code != 4 {
			t.Errorf("%s is accepted: exit code %d", value, r.code)
		}
		value = e.value
	}
	p := start(t, work, nil, tr.line(t, work, key, value, e)...)
	if e.stop {
		eventually(t, 60*time.Second, "tags have come", func() bool { return strings.Contains(p.stdout.String(), `"event":"progress"`) })
		if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
	code := p.wait(3 * time.Minute)
	if e.refused != "" && code == 5 {
		contains(t, p.stdout.String()+p.stderr.String(), e.refused)
		return
	}
	if _, err := os.Lstat(filepath.Join(work, "runs", "latest")); err != nil {
		t.Fatalf("exit code %d and no run\n%s%s", code, p.stdout.String(), p.stderr.String())
	}
	dir, m := latest(t, work)
	if e.condition == "" {
		e.condition = run.Good
	}
	if !slices.Equal(m.Condition, []run.Condition{e.condition, run.Simulated}) || !strings.Contains(reasons(m), e.says) {
		t.Errorf("exit code %d, condition %v, want %v and %q\n%s%s", code, m.Condition, e.condition, e.says, reasons(m), p.stderr.String())
	}
	if v := runTsrun(t, work, "verify", dir); v.code != 0 || len(m.Segments) == 0 {
		t.Errorf("verify: exit code %d, %d files\n%s%s", v.code, len(m.Segments), v.stdout, v.stderr)
	}
}

// line is the command that runs the key at a value.
func (tr trial) line(t *testing.T, work, key, value string, e end) []string {
	sets := []string{setting.Replace(key) + "=" + value}
	if tr.write != nil {
		sets = tr.write(value)
	}
	if port, is := strings.CutPrefix(key, "network.ports."); is { // all have the same greatest number: each at an address of its own
		sets = append(sets, fmt.Sprintf("network.master=127.77.0.%d", port[0]))
	}
	write(t, filepath.Join(work, "r"+value+".txt"), value+";1000\n"+value+";2000000\n")
	text := tr.recipe()
	args := []string{"", "--json"}
	for _, s := range slices.Concat(sets, tr.sets, e.sets) {
		switch path, value, _ := strings.Cut(s, "="); path {
		case "version": // is a matter of the file
		case "sinks.raw.takes": // may be too long for an override
			text = strings.Replace(text, "sink: sink-file", "sink: sink-file, takes: "+value, 1)
		default:
			args = append(args, "--set", s)
		}
	}
	args[0] = write(t, filepath.Join(work, "extreme.yaml"), text)
	return args
}

// stageOf finds the stage in a key of the pipeline.
var stageOf = regexp.MustCompile(`\((\w+)\)`)

// stages are the configs in which the keys of the pipeline are set.
var stages = map[string]string{
	"align":        "{reference: alice.c1, target: bob.c1}",
	"coincidences": "{of: [alice.c1, bob.c1], window: 1 ns}",
	"scan":         "{start: alice.c1, stop: bob.c1, from: -10 ns, to: 10 ns, step: 1 ns, window: 1 ns}",
	"histogram":    "{start: alice.c1, stop: bob.c1, range: 20 ns, bin: 100 ps}",
	"g2":           "{start: alice.c1, stop: bob.c1, range: 20 ns, bin: 100 ps}",
	"rates":        "{of: [alice.c1, bob.c1]}",
}

// recipe is what the extremes are set in.
func (tr trial) recipe() string {
	controller, more := "{driver: tc-hurry, config: {every: 1 ms}}", ""
	switch tr.kind {
	case lightKind:
		controller = "{driver: tc-hurry, config: {every: 50 us, light: true}}"
		more = "pipeline:\n"
		if tr.stage != "align" { // the others want one, here one that is over soon
			more += "  - {stage: align, config: {reference: alice.c1, target: bob.c1, search: 1 us, max_drift: 1 ppm}}\n"
		}
		more += "  - {stage: " + tr.stage + ", config: " + stages[tr.stage] + "}\n"
	case simulatedKind:
		controller = "{driver: tc-ethernet, config: {address: sim}}"
		more = "simulate: {bob: {clock_offset: 40 ns}}\n"
	}
	var channels strings.Builder
	for n := 1; n <= max(tr.channels, 1); n++ {
		fmt.Fprintf(&channels, "      c%d: {on: tc/%d, threshold: 120 mV}\n", n, n)
	}
	return fmt.Sprintf(`version: 1
name: extreme
nodes:
  alice:
    controllers: {tc: %s}
    channels:
%s  bob:
    controllers: {tc: %[1]s}
    channels:
%[2]strigger: {master: alice}
acquire: {duration: 1 s}
sinks: {raw: {sink: sink-file}}
%[3]s`, controller, channels.String(), more)
}
