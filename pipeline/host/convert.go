package host

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/sdk"
	"tsrun/sdk/pluginpb"
	"tsrun/sdk/realtime"
)

// This file turns what plugins tell by the protocol into facts, and what is asked
// of them into the protocol. Nothing beyond it sees either form.

// configuration asks the plugin what it is and checks the configuration
// against what it says.
func (p *process) configuration(ctx context.Context, s Spec, role string) (*pluginpb.ConfigureRequest, error) {
	ctx, cancel := context.WithTimeout(ctx, describeWithin)
	defer cancel()
	d, err := pluginpb.NewPluginClient(p.conn).Describe(ctx, &pluginpb.DescribeRequest{})
	if err != nil {
		return nil, p.explain("describe", err)
	}
	p.component.Version, p.component.Summary = d.Version, d.Summary
	described := descriptionIn(d)
	offer := described.Driver(s.Plugin)
	if role == "sink" {
		offer = described.Sink(s.Plugin)
	}
	if offer == nil {
		return nil, &sdk.Failure{Code: "wrong-kind",
			Message: fmt.Sprintf("use plugin %s as the %s of %s: it offers no such %s", s.Plugin, role, s.Instance, role),
			Hint:    fmt.Sprintf("`%s --describe` prints what it offers", p.component.Path)}
	}
	if err := checkConfig(offer.Schema, s.Config, ""); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Instance, err)
	}
	p.component.Keeps, p.component.NoThresholds, p.component.Resumable = offer.Keeps, offer.NoThresholds, offer.Resumable
	request := &pluginpb.ConfigureRequest{Kind: offer.Name, Instance: s.Instance, Config: s.Config, Dir: p.scratch}
	if offer.Simulated(s.Config) {
		if err := checkConfig(offer.Simulation.Schema, s.Simulation.Controller, "simulate"); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Instance, err)
		}
		if request.Simulation, err = json.Marshal(s.Simulation); err != nil {
			return nil, fmt.Errorf("%s: write simulation: %w", s.Instance, err)
		}
	}
	return request, nil
}

// descriptionIn is what a plugin that was started says of itself.
func descriptionIn(d *pluginpb.DescribeResponse) *sdk.Description {
	offersIn := func(offers []*pluginpb.Offer) (out []sdk.Offer) {
		for _, o := range offers {
			offer := sdk.Offer{Name: o.GetName(), Schema: o.GetSchema(), Defaults: o.GetDefaults(), Keeps: keepsIn(o.GetKeeps()), NoThresholds: o.GetNoThresholds(), Resumable: o.GetResumable()}
			if simulator := new(sdk.Simulator); json.Unmarshal(o.GetSimulation(), simulator) == nil {
				offer.Simulation = simulator
			}
			out = append(out, offer)
		}
		return out
	}
	return &sdk.Description{Name: d.GetName(), Version: d.GetVersion(), Summary: d.GetSummary(),
		Drivers: offersIn(d.GetDrivers()), Sinks: offersIn(d.GetSinks())}
}

func deviceIn(d *pluginpb.Device) sdk.Device {
	device := sdk.Device{Vendor: d.GetVendor(), Model: d.GetModel(), Serial: d.GetSerial(), Firmware: d.GetFirmware(),
		Identity: d.GetIdentity(), ResolutionPs: d.GetResolutionPs(), MaxRateHz: d.GetMaxRateHz(),
		Can: sdk.Capabilities{ScheduledStart: d.GetCan().GetScheduledStart(),
			HardwareStart: d.GetCan().GetHardwareStart(), InputDelay: d.GetCan().GetInputDelay(), AnswersStart: d.GetCan().GetAnswersStart()},
		Simulated: d.GetSimulated()}
	for _, in := range d.GetInputs() {
		device.Inputs = append(device.Inputs, sdk.Input{Number: int(in.Number), ThresholdMin: in.ThresholdMinUv,
			ThresholdMax: in.ThresholdMaxUv, DelayMax: in.DelayMaxPs})
	}
	return device
}

func realtimeOut(s realtime.Settings) *pluginpb.Realtime {
	out := &pluginpb.Realtime{Priority: int32(s.Priority), LockMemory: s.LockMemory}
	for _, c := range s.Cores {
		out.Cores = append(out.Cores, int32(c))
	}
	return out
}

// maxGrants is how many grants are taken of a plugin: more than there are to ask for.
const maxGrants = 8

func grantsIn(grants []*pluginpb.Grant) (in []realtime.Grant) {
	for _, g := range grants[:min(len(grants), maxGrants)] {
		in = append(in, realtime.Grant{What: short(g.GetWhat()), Asked: short(g.GetAsked()), Granted: g.GetGranted(), Got: short(g.GetGot()),
			Errno: short(g.GetErrno()), Why: short(g.GetWhy()), Remedy: short(g.GetRemedy())})
	}
	return in
}

// short is as much of a plugin's text as a line of the summary takes.
func short(text string) string {
	const most = 512
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

func armOut(a sdk.Acquisition, endpoint string) *pluginpb.ArmRequest {
	r := &pluginpb.ArmRequest{Run: a.Run[:], DurationNs: int64(a.Duration), SegmentNs: int64(a.Segment),
		Method: pluginpb.StartMethod(a.Method), Pulse: a.Pulse, Endpoint: endpoint}
	for _, c := range a.Channels {
		r.Channels = append(r.Channels, &pluginpb.Channel{Stream: uint32(c.Stream), Name: c.Name, Input: int32(c.Input),
			ThresholdUv: c.Threshold, Falling: c.Falling, DelayPs: c.Delay})
	}
	return r
}

func beginOut(r sdk.Recording, endpoint, ring string) *pluginpb.BeginRequest {
	out := &pluginpb.BeginRequest{Run: r.Run[:], Dir: r.Dir, SegmentNs: int64(r.Segment), Endpoint: endpoint, Ring: ring, Resumed: r.Resumed, RecipeSha256: r.Recipe}
	for _, s := range r.Streams {
		out.Streams = append(out.Streams, &pluginpb.RecordedStream{Stream: uint32(s.Stream), Name: s.Name, Told: uint64(s.Told),
			Device: s.Device, Simulated: s.Simulated})
	}
	return out
}

// Plugin returns the fact of which program runs.
func (p *process) Plugin() fact.Plugin {
	return fact.Plugin{Version: p.component.Version, SHA256: hex.EncodeToString(p.component.SHA256[:]), PID: p.PID(), Confinement: fact.Confinement{Confined: p.outcome.Confined, Unconfined: p.outcome.Why}}
}

// Identity returns the fact of which device it is: what [Driver.Device] says but
// for what the device can do.
func (d *Driver) Identity() fact.Device {
	v := d.device
	return fact.Device{Vendor: v.Vendor, Model: v.Model, Serial: v.Serial, Firmware: v.Firmware,
		Identity: v.Identity, ResolutionPs: v.ResolutionPs, MaxRateHz: v.MaxRateHz, Simulated: v.Simulated}
}

func startedIn(s *pluginpb.Started) Started {
	return Started{fact.Shot{Asked: s.GetAskedUnixNs(), Called: s.GetCalledUnixNs(), Returned: s.GetReturnedUnixNs(), Late: s.GetLate()}}
}

func (d *Driver) lossIn(l *pluginpb.Loss) (Lost, error) {
	if err := d.checkStream(l.GetStream()); err != nil {
		return Lost{}, err
	}
	return Lost{fact.StreamLoss{Stream: uint16(l.GetStream()), Loss: fact.Loss{AtPs: l.GetAtPs(), Tags: l.GetTags(), Why: l.GetWhy()}}}, nil
}

func (d *Driver) endedIn(e *pluginpb.Ended) Ended {
	ended := Ended{Err: d.failure(e.GetFailure())}
	if json.Valid(e.GetReport()) { // it goes into a document as it is
		ended.Report = e.GetReport()
	}
	for _, c := range e.GetStreams() {
		if err := d.checkStream(c.GetStream()); err != nil {
			ended.Err = errors.Join(ended.Err, err)
			continue
		}
		ended.Streams = append(ended.Streams, fact.StreamCounts{Stream: uint16(c.GetStream()), Counts: fact.Counts{
			Tags: c.GetTags(), Lost: c.GetLost(), First: c.GetFirstPs(), Last: c.GetLastPs(), Until: c.GetUntilPs()}})
	}
	return ended
}

// checkStream checks that a driver tells of a stream that it was armed with.
func (d *Driver) checkStream(stream uint32) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.streams[stream] {
		return nil
	}
	return &sdk.Failure{Code: "bad-stream", Hint: "a driver tells of the streams in Acquisition.Channels only",
		Message: fmt.Sprintf("%s: told of stream %d, which it was not armed with", d.instance, stream)}
}

// checkConfig checks a configuration against the schema of a driver or sink.
// A recipe has been checked like this already; what comes here may have been
// made by hand, or for another version of the plugin. The failure names the
// first mistake, below a section where that is not the config itself; all of
// them are in its message.
func checkConfig(schema, config json.RawMessage, section string) error {
	if len(config) == 0 {
		config = json.RawMessage("{}")
	}
	mistakes, err := recipe.CheckConfig(schema, config)
	if err != nil {
		return &sdk.Failure{Code: "bad-config", Message: fmt.Sprintf("check configuration: %v", err)}
	}
	if len(mistakes) == 0 {
		return nil
	}
	f := &sdk.Failure{Code: "bad-config", Hint: mistakes[0].Hint}
	texts := make([]string, len(mistakes))
	for i, m := range mistakes {
		field := strings.Trim(strings.Trim(section+"."+m.Path, ".")+"."+m.Key, ".")
		if i == 0 {
			f.Field = field
		}
		texts[i] = m.Message
		if field != "" {
			texts[i] = field + ": " + m.Message
		}
	}
	f.Message = "check configuration: " + strings.Join(texts, "; ")
	return f
}
