package drill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tsrun/pipeline/host"
	"tsrun/pipeline/recipe"
	"tsrun/sdk"
	"tsrun/sdk/instrument"
	"tsrun/sdk/quantity"
)

// Options say what to drill.
type Options struct {
	Recipe     *recipe.Recipe
	Path       string   // of the recipe
	Set        []string // changes of it, as given
	PluginDirs []string
	Program    string // tsrun itself
	Dir        string // where the directories of runs are made
	Faults     []Kind
	Longest    time.Duration // of a fault; 0: as long as its kind may last
	Seed       uint64        // of the first run; the next has the next
	Runs       int           // at most; 0: until Within has passed
	Within     time.Duration // no run begins later; 0: any time
	AtOnce     int           // runs that go on beside each other
	Real       bool          // controllers may be real

	address string // of the master, for remote nodes
	resumes bool   // the program has a command that finishes a run
}

// patience is that of a drilled run where the user has set none: a slave that is
// gone for good holds it up for so long.
const patience = 30 * time.Second

// mostTries is how often a run is begun whose ports another program took meanwhile.
const mostTries = 5

// Run drills a recipe and calls tell with each run's result, in the order in which
// they end. It returns their number with defects.
func Run(ctx context.Context, o Options, tell func(Result)) error {
	if err := o.check(); err != nil {
		return err
	}
	o.address = ownAddress()
	o.resumes = exec.Command(o.Program, "help", "resume").Run() == nil
	begun := time.Now()
	var (
		mu      sync.Mutex
		next    int
		failed  error
		working sync.WaitGroup
	)
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		over := o.Runs > 0 && next >= o.Runs || o.Within > 0 && time.Since(begun) > o.Within
		if over || failed != nil || ctx.Err() != nil {
			return 0, false
		}
		next++
		return next - 1, true
	}
	for range max(1, o.AtOnce) {
		working.Go(func() {
			for n, ok := take(); ok; n, ok = take() {
				r, err := o.drill(ctx, n)
				for tries := 1; r.portTaken && err == nil && tries < mostTries; tries++ {
					r, err = o.drill(ctx, n)
				}
				mu.Lock()
				if failed = errors.Join(failed, err); err == nil && ctx.Err() == nil {
					tell(r)
				}
				mu.Unlock()
			}
		})
	}
	working.Wait()
	return errors.Join(failed, context.Cause(ctx))
}

// check refuses what cannot or must not be drilled.
func (o *Options) check() error {
	if o.Recipe.Acquire.Duration <= 0 {
		return &sdk.Failure{Code: "drill", Message: "the recipe records until it is stopped, and nobody stops a drill", Hint: "give it an end: --set 'acquire.duration=5 s'"}
	}
	for _, n := range o.Recipe.Nodes {
		for _, c := range n.Controllers {
			k, err := host.Find(o.PluginDirs, c.Driver)
			if err != nil {
				return err
			}
			if !o.Real && (k.Description == nil || !k.Description.Driver(c.Driver).Simulated(c.Config)) {
				return &sdk.Failure{Code: "drill", Message: fmt.Sprintf("controller %s.%s is not simulated, and a drill kills what holds it", n.Name, c.Name),
					Hint: "let the recipe simulate it, or say --real where the device may be treated so"}
			}
		}
	}
	return nil
}

// drill does one run and judges it.
func (o *Options) drill(ctx context.Context, number int) (r Result, err error) {
	seed := o.Seed + uint64(number)
	dir := filepath.Join(o.Dir, fmt.Sprintf("seed-%d", seed))
	if err := os.RemoveAll(dir); err != nil { // of an earlier drill
		return r, fmt.Errorf("make room for a run: %w", err)
	}
	b, err := newBench(o, o.Recipe, dir, number)
	if err != nil {
		return r, err
	}
	begun := time.Now()
	r = Result{Seed: seed, Reasons: []string{}, Defects: []string{}}
	plan := Plan(seed, o.Recipe, o.Faults, linkedNodes(o, o.Recipe), o.Longest)
	w := b.newWitness()
	over, end := context.WithCancel(ctx)
	defer end()
	var beside sync.WaitGroup
	beside.Go(func() { w.watch(over) })
	beside.Go(func() { r.Faults = b.play(over, plan) })
	err = b.run(ctx, &r, plan)
	end()
	beside.Wait()
	left := b.endAll()
	if err == nil && ctx.Err() == nil {
		for _, p := range left {
			r.defect("a process was left: %s", p)
		}
		w.look()
		b.judge(&r, w)
	}
	r.Seconds = time.Since(begun).Seconds()
	if err = errors.Join(err, b.close()); len(r.Defects) == 0 || err != nil {
		return r, errors.Join(err, os.RemoveAll(dir))
	}
	r.Directory, r.Again = dir, o.again(seed)
	return r, nil
}

// again is the command that does a run once more.
func (o *Options) again(seed uint64) string {
	words := []string{"tsrun", "drill", quoted(o.Path), "--seed", fmt.Sprint(seed), "--runs", "1"}
	var kinds []string
	for _, k := range o.Faults {
		kinds = append(kinds, string(k))
	}
	words = append(words, "--faults", strings.Join(kinds, ","))
	if o.Longest > 0 {
		words = append(words, "--longest", quoted(quantity.Time(o.Longest*1000).String()))
	}
	for _, s := range o.Set {
		words = append(words, "--set", quoted(s))
	}
	if o.Real {
		words = append(words, "--real")
	}
	return strings.Join(words, " ")
}

func quoted(word string) string {
	if strings.ContainsAny(word, " '\"{}[]$&;()<>|*?") {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}

// run starts a run, waits for its end and has it finished where its master has not.
func (b *bench) run(ctx context.Context, r *Result, plan []Fault) error {
	for node := range b.links {
		if err := b.startSlave(node); err != nil {
			return err
		}
	}
	args := []string{b.options.Path, "--json", "--runs", b.runs(), "--set", "faults.patience=" + patience.String()}
	args = append(args, b.options.pluginFlags()...)
	for _, s := range b.options.Set {
		args = append(args, "--set", s)
	}
	if b.recipe.OnEnd != nil { // not told of runs that are broken on purpose
		args = append(args, "--set", "on_end=null")
	}
	limit := time.NewTimer(b.longest(plan))
	defer limit.Stop()
	master, err := b.startMaster(append(args, b.args...)...)
	if err != nil || !b.awaitEnd(ctx, master, limit, r) {
		return err
	}
	return b.finish(ctx, limit, r)
}

// finish has a run finished whose master did not come to that: it was killed, or its
// disk took nothing any more.
func (b *bench) finish(ctx context.Context, limit *time.Timer, r *Result) error {
	for range maxResumes {
		dir, m, err := b.runDirectory()
		if m == nil || err != nil || !m.Ended.IsZero() && r.ExitCode >= 0 {
			return nil // judge says what is wrong with it
		}
		if r.Ended = interrupted; !b.options.resumes {
			return nil
		}
		master, err := b.startMaster(append([]string{"resume", dir, "--json"}, b.options.pluginFlags()...)...)
		if err != nil || !b.awaitEnd(ctx, master, limit, r) {
			return err
		}
		r.Ended = resumed
	}
	return nil
}

// maxResumes is how often a run is resumed: a fault may kill what resumes it, too.
const maxResumes = 5

// awaitEnd waits for the end of a master; false: it has not come.
func (b *bench) awaitEnd(ctx context.Context, master *process, limit *time.Timer, r *Result) bool {
	select {
	case <-master.done:
		r.ExitCode, r.Ended = master.cmd.ProcessState.ExitCode(), byItself
		return true
	case <-ctx.Done():
		return false
	case <-limit.C:
	}
	r.Ended = hung
	r.defect("hung: the run has not ended in time; the stacks of its processes are in their logs")
	b.mu.Lock()
	defer b.mu.Unlock()
	_ = dumpStacks(master.cmd.Process.Pid) // it may be gone by now
	for _, s := range b.slaves {
		if s.alive() {
			_ = dumpStacks(s.cmd.Process.Pid)
		}
	}
	instrument.Pause(ctx, time.Second)
	return false
}

// longest is how long a run may take with its faults: nothing in it waits longer.
func (b *bench) longest(plan []Fault) time.Duration {
	d := 2*b.recipe.Acquire.Total().Duration() + 3*patience + b.recipe.Network.Join.Duration() + time.Minute
	for _, f := range plan {
		d += f.For
	}
	return d
}
