// Offers the dashboard under "Add dashboard". What is on it is made by dashboard.py.
const TYPE = "voltgo-vlrv";
const TAG = `ll-strategy-dashboard-${TYPE}`;

class VoltgoVlrvDashboard extends HTMLElement {
  static async generate(config, hass) {
    return hass.callWS({ type: "voltgo_vlrv/dashboard" });
  }
}

if (!customElements.get(TAG)) {
  customElements.define(TAG, VoltgoVlrvDashboard);
  window.customStrategies = window.customStrategies || [];
  window.customStrategies.push({
    type: TYPE,
    strategyType: "dashboard",
    name: "Voltgo VLRV",
  });
}
