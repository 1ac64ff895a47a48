package stage

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"tsrun/pipeline/align"
	"tsrun/pipeline/correlate"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tagfile"
)

// Recorded are channels of a finished run, each as one stream of all its
// segments in order. Close gives the files back.
type Recorded struct {
	Channels []correlate.Channel // their corrections are those that the run's stages would take
	Words    []string            // what a person should know of them, a line each
	Origin   Origin              // of the tags
	recipe   string              // SHA-256 of the file of the run's recipe
	devices  map[string]string   // how the controllers of the channels name themselves
	inputs   *inputs
}

// About says where the tags of a channel are from, for files of other formats.
func (r *Recorded) About(channel string) tagfile.Provenance {
	return tagfile.Provenance{Run: r.Origin.Run, Recipe: r.recipe, Channel: channel, Device: r.devices[channel], Simulated: r.Origin.Simulated}
}

// Close closes the files.
func (r *Recorded) Close() error { return r.inputs.Close() }

// OpenRecorded opens channels of the run in dir, named as "alice.signal".
// Clocks that differ are brought to the first channel's as the run's stages
// do, by its align stages, which look at the tags once more. aligned, which may
// be nil, gives the caller's own correction of a channel by its place; a channel
// with one needs none of the run's. With anyway, channels whose clocks nothing
// connects keep their own time instead of being an error.
func OpenRecorded(ctx context.Context, dir string, names []string, aligned map[int]correlate.Correction, anyway bool) (*Recorded, error) {
	a, r, err := recordedIn(ctx, dir, names)
	if err != nil {
		return nil, err
	}
	opened := &Recorded{inputs: &inputs{}, devices: map[string]string{}}
	for i, name := range names {
		own, given := aligned[i]
		if !given && a.clockOf(name) != a.clockOf(names[0]) && len(a.clocks.edges) == 0 {
			if err := a.findClocks(r, opened); err != nil {
				return nil, errors.Join(err, opened.Close())
			}
		}
		comparable, err := opened.inputs.open(a, names[0], name)
		if err == nil && !comparable && !given && !anyway {
			err = fmt.Errorf("no align stage of the run found an offset between the clocks of %s and %s; give one by --align FILE", names[0], name)
		}
		if err != nil {
			return nil, errors.Join(err, opened.Close())
		}
		if given {
			opened.inputs.channels[i].Correction = own
		}
	}
	opened.Channels = opened.inputs.channels
	for _, name := range names {
		opened.devices[name] = a.device(name)
	}
	opened.Origin, opened.recipe = a.origin(names...), a.manifest.Recipe.SHA256
	if opened.Origin.Simulated {
		opened.Words = append(opened.Words, "SIMULATED: these tags were computed, not measured")
	}
	opened.Words = append(opened.Words, a.lacking(names...)...)
	return opened, nil
}

// lacking says of channels what a person would not see: tags of the record that are not
// among those that are looked at.
func (a *analysis) lacking(names ...string) (words []string) {
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		c, held := a.channel(name), uint64(0)
		if c == nil {
			continue
		}
		node, channel, _ := strings.Cut(name, ".")
		_, segments := a.manifest.Source(a.recipe, node, channel)
		for _, s := range segments {
			held += min(s.Tags, math.MaxUint64-held)
		}
		if held < c.Tags {
			words = append(words, fmt.Sprintf("%s: of %s that were delivered %d are in files that are here and proven, and only those are looked at; tsrun verify %s says more",
				name, quantity.Counted(c.Tags, "tag"), held, a.dir))
		}
	}
	for _, r := range a.manifest.Noticed() {
		at := r.Node
		if r.Channel != "" {
			at += "." + r.Channel
		}
		if word := strings.TrimPrefix(at+": "+r.Message, ": "); !slices.Contains(words, word) { // of a channel that is named twice
			words = append(words, word)
		}
	}
	return words
}

// findClocks executes the align stages of a run once more, and says so.
func (a *analysis) findClocks(r *recipe.Recipe, opened *Recorded) error {
	aligns, err := AlignStages(r)
	if err != nil {
		return err
	}
	for _, s := range aligns {
		found, err := a.again(s.AlignConfig)
		if err != nil {
			return fmt.Errorf("stage %q: %w", s.Name, err)
		}
		for _, summary := range found {
			if summary.Refused {
				opened.Words = append(opened.Words, fmt.Sprintf("stage %q finds no offset of %s against %s: %s", s.Name, summary.Target, summary.Reference, summary.Reason))
				continue
			}
			opened.Words = append(opened.Words, fmt.Sprintf("the clock of %s is corrected to that of %s by the run's stage %q", summary.Target, summary.Reference, s.Name))
		}
	}
	return nil
}

// AlignRecorded finds the clock of the second named channel of a run on the
// scale of the first, by photons or, by markers, one signal that both recorded.
func AlignRecorded(ctx context.Context, dir string, names [2]string, by string, o align.Options) (found align.Parts, of Origin, err error) {
	a, _, err := recordedIn(ctx, dir, names[:])
	if err != nil {
		return found, of, err
	}
	of = a.origin(names[:]...)
	find := align.AlignStreams
	if by == ByMarkers {
		find = align.AlignMarkerStreams
	}
	found, err = a.alignTwo(names[0], names[1], o, find)
	of.Words = a.lacking(names[:]...)
	return found, of, err
}

// recordedIn reads what the run in dir says of itself, and asks that it has the
// named channels.
func recordedIn(ctx context.Context, dir string, names []string) (*analysis, *recipe.Recipe, error) {
	m, r, err := run.ReadRun(dir)
	if err != nil {
		return nil, nil, err
	}
	if err := m.Known(dir); err != nil {
		return nil, nil, err
	}
	a := &analysis{ctx: ctx, dir: dir, recipe: r, manifest: m, clocks: newClocks(r.Trigger.Method == "hardware")}
	known := channelsOf(m)
	for _, name := range names {
		if slices.Contains(known, name) {
			continue
		}
		hint := recipe.DidYouMean(name, known)
		if hint == "" {
			hint = "it has " + strings.Join(known[:min(len(known), 16)], ", ")
		}
		return nil, nil, fmt.Errorf("the run in %s has no channel %s; %s", dir, name, hint)
	}
	return a, r, nil
}

// ChannelsOf names the channels of the run in dir, in the order of its summary.
func ChannelsOf(dir string) ([]string, error) {
	m, _, err := run.ReadRun(dir)
	if err != nil {
		return nil, err
	}
	return channelsOf(m), nil
}

func channelsOf(m *run.Manifest) (names []string) {
	for _, node := range m.NodeOrder() {
		for _, channel := range run.ByStream(m.Nodes[node].Channels) {
			names = append(names, node+"."+channel)
		}
	}
	return names
}
