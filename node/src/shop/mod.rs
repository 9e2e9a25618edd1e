//! A shop of four services: `orders`, a relay, has stock reserved, a payment taken and a parcel shipped by three others.
//! Each of the three refuses now and then, as such services do; then all that was done for the order is undone.

mod desk;
mod orders;
mod payments;
mod shipping;
mod stock;

pub(crate) use orders::Orders;
pub(crate) use payments::Payments;
pub(crate) use shipping::Shipping;
pub(crate) use stock::Stock;
