package recipe

import "tsrun/sdk/quantity"

// What the stages that count may be told.

// maxFold is how many channels have coincidences at most.
const maxFold = 8

var coincidencesKeys = []*field{
	{name: "of", shape: shapeList, required: true, limits: &limits{2, maxFold}, doc: "Two to eight channels, A first.",
		each: channelField("CHANNEL", "One channel.")},
	{name: "window", shape: shapeQuantity, amount: times, required: true, limits: between(2*quantity.Picosecond, quantity.Second),
		doc: "Full width: tags of which no two are further apart than half of it count; of two channels, B minus A within plus or minus half of it."},
	{name: "offsets", shape: shapeMap, form: channelForm,
		doc:  "How much later the tags of a channel come, by its cable or detector, beside what its clock explains; subtracted. None where it is left out.",
		each: &field{name: "NODE.CHANNEL", shape: shapeQuantity, amount: times, limits: between(-longestWindow, longestWindow), doc: "Of one channel of those above."}},
	{name: "shift", shape: shapeQuantity, amount: times, limits: between(2*quantity.Picosecond, longestWindow),
		doc: "Accidentals come from windows shifted by one to four times this; longer than the detectors' dead time, and a whole number of periods of light that is pulsed or gated. Where it is left out, ten windows, at least 1 us and beyond dead times, in whole periods."},
	{name: "period", shape: shapeQuantity, amount: periods, limits: between(100*femtoseconds, femtoseconds*longestWindow),
		doc: "Of pulsed or gated light: windows of accidentals are shifted by whole ones. Found where it is left out."},
}

// startStop are the channels of stages that subtract one from another.
func startStop(of string) []*field {
	return []*field{
		channelField("start", "Channel that starts the clock."),
		channelField("stop", "Channel that stops it; "+of+" of stop minus start."),
	}
}

var rangeAndBin = []*field{
	{name: "range", shape: shapeQuantity, amount: times, required: true, limits: between(quantity.Picosecond, longestWindow),
		doc: "The histogram reaches from minus to plus this."},
	{name: "bin", shape: shapeQuantity, amount: times, required: true, limits: between(quantity.Picosecond, longestWindow),
		doc: "Width of a bin; the range is a whole number of them."},
}

var histogramKeys = append(startStop("the histogram is"), rangeAndBin...)

var g2Keys = append(histogramKeys[:len(histogramKeys):len(histogramKeys)],
	&field{name: "far", shape: shapeQuantity, amount: times, limits: between(quantity.Picosecond, longestWindow),
		doc: "Bins at least so far from zero are 1 in the mean; where it is left out, uncorrelated light of the recorded rates is 1."},
	&field{name: "period", shape: shapeQuantity, amount: periods, limits: between(femtoseconds, femtoseconds*longestWindow),
		doc: "Of a pulsed source: each pulse is summed up as well, and compared with the others."},
)

var scanKeys = append(startStop("delays are"),
	&field{name: "from", shape: shapeQuantity, amount: times, required: true, limits: between(-longestWindow, longestWindow), doc: "The first delay."},
	&field{name: "to", shape: shapeQuantity, amount: times, required: true, limits: between(-longestWindow, longestWindow), doc: "No delay is beyond this."},
	&field{name: "step", shape: shapeQuantity, amount: times, required: true, limits: between(quantity.Picosecond, longestWindow), doc: "Between delays."},
	&field{name: "window", shape: shapeQuantity, amount: times, required: true, limits: between(2*quantity.Picosecond, quantity.Second),
		doc: "Full width: stop minus start minus the delay within plus or minus half of it counts."},
)

var ratesKeys = []*field{
	{name: "of", shape: shapeList, required: true, limits: &limits{1, 64}, doc: "The channels that are counted.",
		each: channelField("CHANNEL", "One channel.")},
	{name: "bin", shape: shapeQuantity, amount: times, initial: "1 s", limits: between(quantity.Microsecond, longestWindow),
		doc: "Width of a bin of time."},
}
