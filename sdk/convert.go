package sdk

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"tsrun/sdk/pluginpb"
	"tsrun/sdk/realtime"
	"tsrun/sdk/tag"
)

// This file turns the SDK's types into those of the protocol and back. What
// comes from the host is checked: it may be of another version.

func runIn(id []byte) (tag.RunID, error) {
	var run tag.RunID
	if len(id) != len(run) {
		return run, fmt.Errorf("read request: run id of %d bytes, want %d", len(id), len(run))
	}
	copy(run[:], id)
	return run, nil
}

func acquisitionIn(r *pluginpb.ArmRequest) (Acquisition, error) {
	run, err := runIn(r.Run)
	if err != nil {
		return Acquisition{}, err
	}
	a := Acquisition{Run: run, Duration: time.Duration(r.DurationNs), Segment: time.Duration(r.SegmentNs),
		Method: StartMethod(r.Method), Pulse: r.Pulse}
	seen := map[uint32]bool{}
	for _, c := range r.Channels {
		if c.Stream > math.MaxUint16 || seen[c.Stream] {
			return Acquisition{}, fmt.Errorf("read request: channel %q has stream %d, which is too large or taken", c.Name, c.Stream)
		}
		seen[c.Stream] = true
		a.Channels = append(a.Channels, Channel{Stream: uint16(c.Stream), Name: c.Name, Input: int(c.Input),
			Threshold: c.ThresholdUv, Falling: c.Falling, Delay: c.DelayPs})
	}
	switch {
	case len(a.Channels) == 0:
		return Acquisition{}, fmt.Errorf("read request: an acquisition without channels")
	case a.Duration < 0 || a.Segment < 0:
		return Acquisition{}, fmt.Errorf("read request: negative duration %v or segment %v", a.Duration, a.Segment)
	case a.Method != Scheduled && a.Method != Hardware:
		return Acquisition{}, fmt.Errorf("read request: unknown start method %d", a.Method)
	}
	return a, nil
}

func recordingIn(r *pluginpb.BeginRequest) (Recording, error) {
	run, err := runIn(r.Run)
	if err != nil {
		return Recording{}, err
	}
	if len(r.RecipeSha256) != 0 && !isSum(r.RecipeSha256) {
		return Recording{}, fmt.Errorf("read request: %.80q is no SHA-256 of a recipe", r.RecipeSha256)
	}
	rec := Recording{Run: run, Dir: r.Dir, Segment: time.Duration(r.SegmentNs), Resumed: r.Resumed, Recipe: r.RecipeSha256}
	seen := map[uint32]bool{}
	for _, s := range r.Streams {
		if s.Stream > math.MaxUint16 || seen[s.Stream] {
			return Recording{}, fmt.Errorf("read request: %q has stream %d, which is too large or taken", s.Name, s.Stream)
		}
		if s.Told > math.MaxInt32 || s.Told > 0 && !r.Resumed {
			return Recording{}, fmt.Errorf("read request: %q has %d segments that were told of", s.Name, s.Told)
		}
		seen[s.Stream] = true
		rec.Streams = append(rec.Streams, RecordedStream{Stream: uint16(s.Stream), Name: s.Name, Told: int(s.Told),
			Device: clean(s.Device), Simulated: s.Simulated})
	}
	if len(rec.Streams) == 0 || rec.Segment < 0 {
		return Recording{}, fmt.Errorf("read request: a recording of %d streams in segments of %v", len(rec.Streams), rec.Segment)
	}
	return rec, nil
}

// isSum says whether a text is a SHA-256 in hexadecimal digits.
func isSum(text string) bool {
	sum, err := hex.DecodeString(text)
	return err == nil && len(sum) == sha256.Size
}

func deviceOut(d Device) *pluginpb.Device {
	out := &pluginpb.Device{
		Vendor: clean(d.Vendor), Model: clean(d.Model), Serial: clean(d.Serial), Firmware: clean(d.Firmware),
		Identity: clean(d.Identity), ResolutionPs: d.ResolutionPs, MaxRateHz: d.MaxRateHz, Simulated: d.Simulated,
		Can: &pluginpb.Capabilities{ScheduledStart: d.Can.ScheduledStart, HardwareStart: d.Can.HardwareStart,
			InputDelay: d.Can.InputDelay, AnswersStart: d.Can.AnswersStart},
	}
	for _, in := range d.Inputs {
		out.Inputs = append(out.Inputs, &pluginpb.Input{Number: int32(in.Number), ThresholdMinUv: in.ThresholdMin,
			ThresholdMaxUv: in.ThresholdMax, DelayMaxPs: in.DelayMax})
	}
	return out
}

// realtimeIn leaves out what makes no sense: the system would refuse it.
func realtimeIn(r *pluginpb.Realtime) realtime.Settings {
	s := realtime.Settings{LockMemory: r.GetLockMemory()}
	if p := r.GetPriority(); p >= 1 && p <= 99 {
		s.Priority = int(p)
	}
	for _, c := range r.GetCores() {
		s.Cores = append(s.Cores, int(c))
	}
	return s
}

func grantsOut(grants []realtime.Grant) (out []*pluginpb.Grant) {
	for _, g := range grants {
		out = append(out, &pluginpb.Grant{What: g.What, Asked: g.Asked, Granted: g.Granted, Got: g.Got, Errno: g.Errno, Why: clean(g.Why), Remedy: clean(g.Remedy)})
	}
	return out
}

func startedOut(s Shot) *pluginpb.DriverEvent {
	return &pluginpb.DriverEvent{What: &pluginpb.DriverEvent_Started{Started: &pluginpb.Started{
		AskedUnixNs: s.Asked.UnixNano(), CalledUnixNs: s.Called.UnixNano(),
		ReturnedUnixNs: s.Returned.UnixNano(), Late: s.Late}}}
}

func lossOut(l Loss) *pluginpb.DriverEvent {
	return &pluginpb.DriverEvent{What: &pluginpb.DriverEvent_Lost{Lost: &pluginpb.Loss{
		Stream: uint32(l.Stream), Tags: l.Tags, AtPs: l.At, Why: clean(l.Why)}}}
}

func countsOut(counts []StreamCount) []*pluginpb.StreamCount {
	out := make([]*pluginpb.StreamCount, 0, len(counts))
	for _, c := range counts {
		out = append(out, &pluginpb.StreamCount{Stream: uint32(c.Stream), Blocks: c.Blocks, Tags: c.Tags,
			Lost: c.Lost, FirstPs: c.First, LastPs: c.Last, UntilPs: c.Until})
	}
	return out
}

func artifactOut(a Artifact) *pluginpb.SinkEvent {
	return &pluginpb.SinkEvent{What: &pluginpb.SinkEvent_Closed{Closed: &pluginpb.Artifact{
		Path: a.Path, Size: a.Size, Sha256: a.SHA256[:], Stream: uint32(a.Stream), Segment: uint32(a.Segment),
		Tags: a.Tags, FirstPs: a.First, LastPs: a.Last, Lost: a.Lost, Kind: kindOut(a.Kind)}}}
}

func kindOut(k ArtifactKind) pluginpb.ArtifactKind {
	switch k {
	case "":
		return pluginpb.ArtifactKind_ARTIFACT_KIND_UNSAID
	case Tags:
		return pluginpb.ArtifactKind_ARTIFACT_KIND_TAGS
	case Table:
		return pluginpb.ArtifactKind_ARTIFACT_KIND_TABLE
	}
	return pluginpb.ArtifactKind_ARTIFACT_KIND_OTHER
}

func keptOut(stream uint16, tags uint64) *pluginpb.SinkEvent {
	return &pluginpb.SinkEvent{What: &pluginpb.SinkEvent_Kept{Kept: &pluginpb.Kept{Stream: uint32(stream), Tags: tags}}}
}

// mergeKept puts a newer number in the place of one of the same stream that the
// host has not taken yet.
func mergeKept(pending []*pluginpb.SinkEvent, next *pluginpb.SinkEvent) bool {
	kept := next.GetKept()
	if kept == nil {
		return false
	}
	for _, p := range pending {
		if k := p.GetKept(); k != nil && k.Stream == kept.Stream {
			k.Tags = kept.Tags
			return true
		}
	}
	return false
}

// mergeLoss folds a loss into one of the same stream that the host has not
// taken yet. The place is that of the first.
func mergeLoss(pending []*pluginpb.DriverEvent, next *pluginpb.DriverEvent) bool {
	const distinct = 64 // this many pending events may differ in their reasons
	loss := next.GetLost()
	if loss == nil {
		return false
	}
	for i := len(pending) - 1; i >= 0; i-- {
		if pending[i].GetEnded() != nil {
			return false // what comes now is of the next acquisition
		}
		p := pending[i].GetLost()
		if p == nil || p.Stream != loss.Stream || p.Why != loss.Why && len(pending) < distinct {
			continue
		}
		if p.Why != loss.Why {
			p.Why = "several reasons"
		}
		p.Tags += loss.Tags
		return true
	}
	return false
}

func offersOut(offers []Offer) []*pluginpb.Offer {
	var out []*pluginpb.Offer
	for _, o := range offers {
		offer := &pluginpb.Offer{Name: o.Name, Schema: o.Schema, Defaults: o.Defaults, Keeps: string(o.Keeps), NoThresholds: o.NoThresholds, Resumable: o.Resumable}
		if o.Simulation != nil {
			offer.Simulation, _ = json.Marshal(o.Simulation) // it was made of JSON
		}
		out = append(out, offer)
	}
	return out
}
