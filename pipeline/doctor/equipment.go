package doctor

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"tsrun/pipeline/host"
	"tsrun/pipeline/master"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/sdk"
)

// slowDisk is less than what one controller at 5 million tags per second writes.
const slowDisk = 40e6 // bytes per second

// disk looks at where runs are kept.
func disk(_ context.Context, o Options) (found []Finding) {
	dir := standing(o.Run.Runs)
	space := Finding{About: "disk", What: "space", State: Good}
	if o.Run.Recipe != nil {
		room, err := master.CheckRoom(o.Run, dir)
		if err != nil {
			return append(found, refusal("disk", "space", err))
		}
		space.Wanted, space.Why = fmt.Sprintf("%d MiB stay free", room.Below>>20), "faults.disk_below"
		if space.Do = room.Warning(); space.Do != "" {
			space.State = Notable
		}
	}
	free, err := run.FreeSpace(dir)
	if err != nil {
		return append(found, refusal("disk", "space", err))
	}
	space.Measured = fmt.Sprintf("%d MiB free at %s", free>>20, dir)
	found = append(found, space)
	speed := Finding{About: "disk", What: "writing", State: Good, Wanted: "40 MB/s", Why: "so much 5 million tags per second are"}
	rate, err := writeSpeed(dir)
	switch {
	case os.IsPermission(err):
		speed.State, speed.Measured, speed.Do = Refused, err.Error(), "choose another place with --runs, or make this one writable"
	case err != nil:
		speed.Measured = "not measured: " + err.Error()
	default:
		if speed.Measured = fmt.Sprintf("%.0f MB/s at %s", rate/1e6, dir); rate < slowDisk {
			speed.State, speed.Do = Notable, "record to a faster disk with --runs"
		}
	}
	return append(found, speed)
}

// standing is a directory, or what is there of the path to it.
func standing(dir string) string {
	dir, err := filepath.Abs(dir)
	for err == nil {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			break
		}
		if up := filepath.Dir(dir); up != dir {
			dir = up
			continue
		}
		break
	}
	return dir
}

// plugins lists those of the recipe, or those that are found.
func plugins(_ context.Context, o Options) (found []Finding) {
	if o.Run.Recipe != nil {
		if err := master.CheckPlugins(o.Run); err != nil {
			found = append(found, refusal("plugins", "of the recipe", err))
		}
	}
	list, _ := host.List(o.Run.PluginDirs)
	found = append(found, pinned(o)...)
	for _, c := range list {
		if o.Run.Recipe == nil || slices.Contains(o.Run.Recipe.Recipe.Plugins(), c.Name) {
			found = append(found, Finding{About: "plugins", What: c.Name, State: Good, Measured: strings.TrimSpace(c.Version + " at " + c.Path)})
		}
	}
	if len(list) == 0 {
		found = append(found, Finding{About: "plugins", What: "all", State: Notable, Measured: "none is found", Do: "make build, --plugin-dir DIR or TSRUN_PLUGINS"})
	}
	return found
}

// pinned looks at whether the plugins of the recipe are the programs that tsrun.lock
// beside it pins.
func pinned(o Options) (found []Finding) {
	if o.Run.Recipe == nil || o.Run.Lock == nil {
		return nil
	}
	f := Finding{About: "plugins", What: host.LockFile, State: Good, Measured: "every plugin is the program that it pins"}
	for _, name := range o.Run.Recipe.Recipe.Plugins() {
		c, err := host.Find(o.Run.PluginDirs, name)
		if err != nil {
			continue // it may be on another PC alone
		}
		if changed := o.Run.Lock.Check(name, hex.EncodeToString(c.SHA256[:]), c.Path); changed != nil {
			found = append(found, refusal("plugins", host.LockFile, changed))
		}
	}
	if len(found) == 0 {
		found = append(found, f)
	}
	return found
}

// devices opens every controller of this PC's nodes, asks it what it is, and lets go
// of it.
func devices(ctx context.Context, o Options) (found []Finding) {
	if o.Run.Recipe == nil {
		return nil
	}
	private, err := host.NewRuntime()
	if err != nil {
		return append(found, refusal("devices", "all", err))
	}
	defer private.Remove()
	h, err := host.New(host.Options{Dirs: o.Run.PluginDirs, Runtime: private.Path(), Confine: true})
	if err != nil {
		return append(found, refusal("devices", "all", err))
	}
	defer h.Close()
	var opening sync.WaitGroup
	var mu sync.Mutex
	r := o.Run.Recipe.Recipe
	for _, n := range r.Nodes {
		for _, c := range n.Controllers {
			if n.Host != "local" {
				continue
			}
			opening.Go(func() {
				f := identify(ctx, h, r, n.Name, c)
				mu.Lock()
				defer mu.Unlock()
				found = append(found, f)
			})
		}
	}
	opening.Wait()
	slices.SortFunc(found, func(a, b Finding) int { return strings.Compare(a.What, b.What) })
	return found
}

func identify(ctx context.Context, h *host.Host, r *recipe.Recipe, node string, c recipe.Controller) Finding {
	name := node + "." + c.Name
	simulation := sdk.Simulation{Light: sdk.DefaultLight(), Controller: []byte("{}")}
	if r.Simulate != nil {
		simulation.Light = r.Simulate.Light
		if own := r.Simulate.Nodes[node]; own != nil {
			simulation.Controller = own
		}
	}
	driver, err := h.StartDriver(ctx, host.Spec{Plugin: c.Driver, Instance: name, Config: c.Config, Simulation: simulation})
	if err != nil {
		return refusal("devices", name, err)
	}
	device := driver.Device()
	f := Finding{About: "devices", What: name, State: Good, Measured: device.Identity}
	if f.Measured == "" {
		f.Measured = strings.TrimSpace(device.Vendor + " " + device.Model + " " + device.Serial)
	}
	if device.Simulated {
		f.Measured += " (SIMULATED)"
	}
	if err := driver.Close(ctx); err != nil {
		f.State, f.Measured = Notable, f.Measured+"; it was not let go of: "+err.Error()
	}
	return f
}
