// Package three proves the variants of the site of conf/examples/ha-lamp-three: three
// machines that all do everything, with a shared disk, with the unmodified agents of
// resource-agents, with Apache, with replicated databases. Each is prepared by the steps
// of the example's README, configured by its file as it stands, and gets the same faults
// while an editor writes (integration/lab/story), so that their tables can be compared.
package three
