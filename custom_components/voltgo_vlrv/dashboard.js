// Offers the dashboard under "Add dashboard", and a section of it for other pages (Home
// Assistant 2026.11). What is on them is made by dashboard.py.
const TYPE = "voltgo-vlrv";

const DESCRIPTIONS = {
  en: "How full your batteries are, how long they last, and whether anything is wrong",
  de: "Wie voll deine Batterien sind, wie lange sie reichen und ob etwas nicht stimmt",
  es: "Cuánta carga tienen tus baterías, cuánto duran y si hay algún problema",
  fr: "La charge de vos batteries, leur autonomie et les éventuels problèmes",
  nl: "Hoe vol je accu's zijn, hoelang ze meegaan en of er iets mis is",
};

class VoltgoVlrvDashboard extends HTMLElement {
  static async generate(config, hass) {
    return hass.callWS({ type: "voltgo_vlrv/dashboard", url_path: hass.panelUrl });
  }
}

class VoltgoVlrvSection extends HTMLElement {
  static getStubConfig() {
    return { type: `custom:${TYPE}` };
  }

  static async generate(config, hass) {
    return hass.callWS({ type: "voltgo_vlrv/section" });
  }
}

function offer(strategyType, element) {
  const tag = `ll-strategy-${strategyType}-${TYPE}`;
  if (customElements.get(tag)) {
    return;
  }
  customElements.define(tag, element);
  window.customStrategies = window.customStrategies || [];
  window.customStrategies.push({
    type: TYPE,
    strategyType,
    name: "Voltgo VLRV",
    get description() {
      const [language] = document.documentElement.lang.split("-");
      return DESCRIPTIONS[language] ?? DESCRIPTIONS.en;
    },
  });
}

offer("dashboard", VoltgoVlrvDashboard);
offer("section", VoltgoVlrvSection);
