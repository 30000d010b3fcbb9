// Package failover holds no code, only the proof on real kernels that Systole
// fences before it recovers: power cuts, a frozen node, a node cut off, and power
// switches that fail. "make lab RUN=failover" runs it.
package failover
