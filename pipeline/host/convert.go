package host

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/pluginpb"
)

// This file turns the types of the protocol into those of the SDK and back.

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
	p.component.Keeps, p.component.NoThresholds = offer.Keeps, offer.NoThresholds
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
			offer := sdk.Offer{Name: o.GetName(), Schema: o.GetSchema(), Defaults: o.GetDefaults(), Keeps: keepsIn(o.GetKeeps()), NoThresholds: o.GetNoThresholds()}
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
			HardwareStart: d.GetCan().GetHardwareStart(), InputDelay: d.GetCan().GetInputDelay()},
		Simulated: d.GetSimulated()}
	for _, in := range d.GetInputs() {
		device.Inputs = append(device.Inputs, sdk.Input{Number: int(in.Number), ThresholdMin: in.ThresholdMinUv,
			ThresholdMax: in.ThresholdMaxUv, DelayMax: in.DelayMaxPs})
	}
	return device
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

func beginOut(b SinkBegin, endpoint string) *pluginpb.BeginRequest {
	r := &pluginpb.BeginRequest{Run: b.Run[:], Dir: b.Dir, SegmentNs: int64(b.Segment), Endpoint: endpoint}
	for _, s := range b.Streams {
		r.Streams = append(r.Streams, &pluginpb.RecordedStream{Stream: uint32(s.Stream), Name: s.Name})
	}
	return r
}

func startedIn(s *pluginpb.Started) Started {
	return Started{sdk.Shot{Asked: time.Unix(0, s.GetAskedUnixNs()), Called: time.Unix(0, s.GetCalledUnixNs()),
		Returned: time.Unix(0, s.GetReturnedUnixNs()), Late: s.GetLate()}}
}

func lossIn(l *pluginpb.Loss) sdk.Loss {
	return sdk.Loss{Stream: uint16(l.GetStream()), Tags: l.GetTags(), At: l.GetAtPs(), Why: l.GetWhy()}
}

func (p *process) endedIn(e *pluginpb.Ended) Ended {
	ended := Ended{Err: p.failure(e.GetFailure())}
	if json.Valid(e.GetReport()) { // it goes into a document as it is
		ended.Report = e.GetReport()
	}
	for _, c := range e.GetStreams() {
		ended.Streams = append(ended.Streams, sdk.StreamCount{Stream: uint16(c.Stream), Blocks: c.Blocks,
			Tags: c.Tags, Lost: c.Lost, First: c.FirstPs, Last: c.LastPs, Until: c.UntilPs})
	}
	return ended
}
