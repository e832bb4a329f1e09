//! placeholder until the layer stands
